# Makes this Windows computer a node of a Lai fleet, or repairs or upgrades one. Served by the coordinator, which fills in its address
# and the key of its releases. As administrator, in Windows PowerShell 5.1 or PowerShell 7:
#
#   $env:LAI_TOKEN = '<token>'; irm https://<coordinator>/install.ps1 | iex
#   & ([scriptblock]::Create((irm https://<coordinator>/install.ps1))) -DryRun        only say what would be done
#   & ([scriptblock]::Create((irm https://<coordinator>/install.ps1))) -Uninstall     -Purge: settings, identity and models too
#
# Instead of the switches: LAI_DRY_RUN=1, LAI_UNINSTALL=1, LAI_PURGE=1, LAI_FORCE=1. Settings are variables and stay: LAI_NODE_NAME,
# LAI_OLLAMA_URL, HTTPS_PROXY and the like. Nothing is opened in the firewall: the agent only calls out. What is downloaded here is
# checked and unpacked; everything else the agent in it does, as on the other systems.
#
# Everything below is one block, so half a download is a parse error and runs nothing; up to its last character, because without the
# `@args` inside of it a wish for -DryRun would be lost.
if ($true) { & {
  param(
    [switch] $DryRun,
    [switch] $Uninstall,
    [switch] $Purge,
    # Also an older version, or one that this computer took back.
    [switch] $Force,
    # Another version than the newest that the coordinator has.
    [string] $Version = 'latest',
    # LocalSystem, for engines that only the system may start; the service has an account of its own otherwise.
    [string] $Account = ''
  )

  Set-StrictMode -Version 2.0
  $ErrorActionPreference = 'Stop'
  # Its progress bar makes a download in 5.1 ten times slower.
  $ProgressPreference = 'SilentlyContinue'
  $PSNativeCommandUseErrorActionPreference = $false

  $Url = '@LAI_URL@'
  $ReleaseKey = '@LAI_RELEASE_KEY@'
  # Of the key in a certificate that the coordinator made itself; empty where an authority vouches for it.
  $TlsPin = '@LAI_TLS_PIN@'
  $Service = 'LAIAgent'
  $Task = 'LAIAgentDesktop'
  $Program = Join-Path $env:ProgramFiles 'LAI'
  $Config = Join-Path $env:ProgramData 'LAI'

  function Write-Step([string] $Text) {
    Write-Host "lai: $Text"
  }

  # Everything that changes this computer goes through here. The action sees these two names before its own: nothing else has them.
  function Invoke-Step([string] $StepText, [scriptblock] $StepAction) {
    if ($DryRun) {
      Write-Step "would $StepText"
      return
    }
    Write-Step $StepText
    & $StepAction
  }

  # A program's exit code. What it says is thrown away, which 5.1 would take for an exception otherwise.
  function Get-ExitCode([scriptblock] $QuietAction) {
    $ErrorActionPreference = 'Continue'
    & $QuietAction 2>&1 | Out-Null
    return $LASTEXITCODE
  }

  function Test-Switch([string] $Name) {
    return [Environment]::GetEnvironmentVariable($Name) -match '^(1|true|yes)$'
  }

  function Assert-Computer {
    if (-not [Environment]::Is64BitOperatingSystem) { throw 'The agent needs a 64-bit Windows.' }
    if ([Environment]::OSVersion.Version.Build -lt 17763) { throw 'The agent needs Windows 10 1809, Server 2019 or newer.' }
    $user = New-Object Security.Principal.WindowsPrincipal([Security.Principal.WindowsIdentity]::GetCurrent())
    $isAdmin = $user.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
    if (-not $isAdmin -and -not $DryRun) { throw 'Run this as administrator: right-click Terminal or PowerShell, "Run as administrator".' }
  }

  function Assert-Coordinator {
    if ($Url -notmatch '^https?://') { throw 'This script is a template. Get it from your coordinator: <its address>/install.ps1' }
    # The host and nothing but: localhost.example.org is another machine.
    $isHere = ([Uri] $Url).DnsSafeHost -match '^(localhost|127(\.\d{1,3}){3}|::1)$'
    if ($Url -match '^http://' -and -not $isHere -and -not $env:LAI_INSECURE) {
      throw "$Url is not encrypted: whoever is on the way can read prompts and answers. Use https, or set LAI_INSECURE=true if you trust the network."
    }
  }

  # Windows PowerShell 5.1 offers TLS 1.0 first and asks only the system's proxy.
  function Initialize-Network {
    $protocols = [Net.ServicePointManager]::SecurityProtocol
    if ($protocols -ne 0) { [Net.ServicePointManager]::SecurityProtocol = $protocols -bor [Net.SecurityProtocolType]::Tls12 }
  }

  function Get-WebOptions {
    $options = @{ UseBasicParsing = $true; MaximumRedirection = 0; TimeoutSec = 1800 }
    $proxy = [Environment]::GetEnvironmentVariable('HTTPS_PROXY')
    if (([Uri] $Url).Scheme -eq 'http') { $proxy = [Environment]::GetEnvironmentVariable('HTTP_PROXY') }
    if ($proxy -and -not (Test-NoProxy ([Uri] $Url).Host)) { $options['Proxy'] = $proxy }
    return $options
  }

  function Test-NoProxy([string] $HostName) {
    foreach ($rule in ([string] $env:NO_PROXY).Split(',')) {
      $suffix = $rule.Trim().TrimStart('*').TrimStart('.')
      if ($suffix -eq '') { continue }
      if ($HostName -eq $suffix -or $HostName.EndsWith(".$suffix")) { return $true }
    }
    return $false
  }

  function Save-File([string] $From, [string] $Path) {
    if ($TlsPin) {
      # No PowerShell can pin a key; the curl of Windows refuses every other one.
      & curl.exe -fsSk --pinnedpubkey "sha256//$TlsPin" --connect-timeout 15 -o $Path "$Url/dl/$From"
      if ($LASTEXITCODE -ne 0) { throw "$Url/dl/$From cannot be had (curl: $LASTEXITCODE)." }
      return
    }
    $options = Get-WebOptions
    Invoke-WebRequest @options -Uri "$Url/dl/$From" -OutFile $Path
  }

  # They become names of folders.
  function Assert-Version([string] $Text) {
    if ($Text -notmatch '^\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$') { throw 'The coordinator has no release that could be installed.' }
  }

  # The names of files are the release's to choose, and the places are ours.
  function Get-Release([string] $Folder) {
    $path = Join-Path $Folder 'manifest.json'
    Save-File "$Version/manifest.json" $path
    Save-File "$Version/manifest.json.sig" "$path.sig"
    $manifest = [IO.File]::ReadAllText($path) | ConvertFrom-Json
    Assert-Version $manifest.version
    $found = $manifest.platforms.PSObject.Properties['win32-x64']
    if (-not $found) { throw "Version $($manifest.version) is not made for Windows." }
    $platform = $found.Value
    Assert-Version $platform.runtime
    if ($platform.archive.name -notmatch '^win32-x64\.zip$') { throw "The archive is called $($platform.archive.name)." }
    return @{ Version = $manifest.version; Runtime = $platform.runtime; Archive = $platform.archive; Path = $path }
  }

  function Save-Archive([hashtable] $Release, [string] $Folder) {
    $path = Join-Path $Folder $Release.Archive.name
    Save-File "$($Release.Version)/$($Release.Archive.name)" $path
    $sum = (Get-FileHash -LiteralPath $path -Algorithm SHA256).Hash
    if ($sum -ne $Release.Archive.sha256) { throw 'The download is not what the release says. Nothing was changed.' }
    Add-Type -AssemblyName System.IO.Compression.FileSystem
    $unpacked = Join-Path $Folder 'unpacked'
    [IO.Compression.ZipFile]::ExtractToDirectory($path, $unpacked)
    return $unpacked
  }

  # No PowerShell checks Ed25519, but Node does; and that this Node is Node, Windows checks.
  function Assert-Signed([hashtable] $Release, [string] $Unpacked, [string] $Folder) {
    if (-not $ReleaseKey) {
      Write-Step 'the coordinator told no key of its releases, so their signature is not checked'
      return
    }
    $node = Join-Path $Unpacked "runtime\$($Release.Runtime)\node.exe"
    $signature = Get-AuthenticodeSignature -LiteralPath $node
    # Before it runs: anybody can sign a program with a certificate of his own, so the signer counts, too.
    $isMakers = [string] $signature.SignerCertificate.Subject -match '(^|, )O="?OpenJS Foundation"?(,|$)'
    if ([string] $signature.Status -ne 'Valid' -or -not $isMakers) {
      throw "node.exe is not as the OpenJS Foundation signed it: $($signature.Status), $($signature.SignerCertificate.Subject). Nothing was run."
    }
    $script = Join-Path $Folder 'verify.mjs'
    [IO.File]::WriteAllText($script, (Get-Verifier))
    & $node $script $Release.Path "$($Release.Path).sig" $ReleaseKey
    if ($LASTEXITCODE -ne 0) { throw 'The release is not signed with the key of this coordinator. Nothing was changed.' }
  }

  function Get-Verifier {
    return @'
import { createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
const [file, signature, key] = process.argv.slice(2);
const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(key, 'base64')]);
const signed = Buffer.from(readFileSync(signature, 'utf8').trim(), 'base64');
process.exit(verify(null, readFileSync(file), createPublicKey({ key: spki, format: 'der', type: 'spki' }), signed) ? 0 : 1);
'@
  }

  function Stop-Agent {
    $running = Get-Service -Name $Service -ErrorAction SilentlyContinue
    if ($running -and $running.Status -ne 'Stopped') { Stop-Service -Name $Service -Force }
  }

  # Before anything is in it: what lies in ProgramData is everybody's to read. The agent adds its service.
  function Add-ClosedFolder {
    if (Test-Path -LiteralPath $Config) { return }
    Invoke-Step "make $Config, closed to others" {
      New-Item -ItemType Directory -Path $Config | Out-Null
      $code = Get-ExitCode { & icacls.exe $Config /inheritance:r /grant:r '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F' }
      if ($code -ne 0) { throw "$Config could not be closed to others (icacls: $code)." }
    }
  }

  # The token travels in the environment: no list of processes shows it.
  function Invoke-Setup([hashtable] $Release, [string] $Unpacked) {
    $node = Join-Path $Unpacked "runtime\$($Release.Runtime)\node.exe"
    $agent = Join-Path $Unpacked "versions\$($Release.Version)\lai-agent.js"
    $words = @('service', 'install', '--from', $Unpacked)
    if ($DryRun) { $words += '--dry-run' }
    if ($Force) { $words += '--force' }
    if ($Account) { $words += '--account', $Account }
    $env:LAI_URL = $Url
    & $node $agent @words
    if ($LASTEXITCODE -ne 0) { throw "The agent could not be set up (exit code $LASTEXITCODE). What stood in the way is above." }
  }

  function Get-MachinePath {
    $key = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SYSTEM\CurrentControlSet\Control\Session Manager\Environment', $true)
    if (-not $key) { throw 'The PATH of this computer cannot be opened.' }
    return $key
  }

  # As it is stored: read the usual way, %SystemRoot% and the like would be written back as what they stand for today.
  function Edit-MachinePath([bool] $IsWanted) {
    $key = Get-MachinePath
    $text = [string] $key.GetValue('Path', '', [Microsoft.Win32.RegistryValueOptions]::DoNotExpandEnvironmentNames)
    $others = @($text.Split(';') | Where-Object { $_ -ne '' -and $_ -ne $Program })
    if ($IsWanted) { $others += $Program }
    $new = $others -join ';'
    if ($new -ne $text.TrimEnd(';')) {
      $key.SetValue('Path', $new, [Microsoft.Win32.RegistryValueKind]::ExpandString)
      # Tells running programs, Explorer first, that the environment has changed.
      [Environment]::SetEnvironmentVariable('LAI_PATH_CHANGED', $null, 'Machine')
    }
    $key.Close()
  }

  function Add-ToPath {
    if (([string] $env:Path).Split(';') -contains $Program) { return }
    Invoke-Step "add $Program to PATH" { Edit-MachinePath $true }
    if (-not $DryRun) { $env:Path = "$env:Path;$Program" }
  }

  function Install-Agent {
    Assert-Coordinator
    Initialize-Network
    $folder = Join-Path ([IO.Path]::GetTempPath()) "lai-$([Guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    try {
      $release = Get-Release $folder
      Write-Step "version $($release.Version) from $Url"
      $unpacked = Save-Archive $release $folder
      Assert-Signed $release $unpacked $folder
      Add-ClosedFolder
      Invoke-Setup $release $unpacked
      Add-ToPath
    } finally {
      Remove-Item -LiteralPath $folder -Recurse -Force -ErrorAction SilentlyContinue
      Remove-Item -Path 'Env:LAI_TOKEN', 'Env:LAI_URL' -ErrorAction SilentlyContinue
    }
  }

  # By Windows' own programs alone: it must also go when the agent is broken.
  function Unregister-Agent {
    if (Get-Service -Name $Service -ErrorAction SilentlyContinue) {
      Invoke-Step 'stop the service' { Stop-Agent }
      Invoke-Step 'delete the service' {
        # 1072: it goes with the last window that shows it.
        if (0, 1072 -notcontains (Get-ExitCode { & sc.exe delete $Service })) { throw 'Windows did not delete the service.' }
      }
    }
    if ((Get-ExitCode { & schtasks.exe /Query /TN $Task }) -ne 0) { return }
    Invoke-Step 'delete the task at log-on' {
      [void] (Get-ExitCode { & schtasks.exe /End /TN $Task })
      [void] (Get-ExitCode { & schtasks.exe /Delete /TN $Task /F })
    }
  }

  # What has just ended holds its files for a moment.
  function Remove-Folder([string] $Path) {
    for ($try = 1; $try -le 10; $try++) {
      if (-not (Test-Path -LiteralPath $Path)) { return }
      Remove-Item -LiteralPath $Path -Recurse -Force -ErrorAction SilentlyContinue
      if (Test-Path -LiteralPath $Path) { Start-Sleep -Seconds 1 }
    }
    throw "$Path could not be removed: something in it is in use."
  }

  # Windows makes one for the service's account at its first start.
  function Remove-AccountProfile {
    $profiles = @(Get-CimInstance -ClassName Win32_UserProfile | Where-Object { $_.LocalPath -match "\\$Service$" -and -not $_.Loaded })
    foreach ($found in $profiles) { Invoke-Step "remove $($found.LocalPath)" { Remove-CimInstance -InputObject $found } }
  }

  function Uninstall-Agent {
    Unregister-Agent
    if (Test-Path -LiteralPath $Program) { Invoke-Step "remove $Program" { Remove-Folder $Program } }
    Invoke-Step "take $Program out of PATH" { Edit-MachinePath $false }
    if ($Purge) {
      if (Test-Path -LiteralPath $Config) { Invoke-Step "remove $Config" { Remove-Folder $Config } }
      Remove-AccountProfile
    } else { Write-Step "settings, identity and models stay in $Config (-Purge removes them)" }
    Write-Step 'the coordinator still knows this node: `lai nodes remove` there forgets it'
  }

  $unknown = @($args | Where-Object { $_ })
  if ($unknown.Count -gt 0) { throw "There is no option $($unknown -join ' '). On Windows the agent is a service of the whole computer." }
  # Run by `iex` there are no arguments, and an empty one may arrive as the first.
  if (-not $Version) { $Version = 'latest' }
  if (Test-Switch 'LAI_DRY_RUN') { $DryRun = $true }
  if (Test-Switch 'LAI_UNINSTALL') { $Uninstall = $true }
  if (Test-Switch 'LAI_PURGE') { $Purge = $true }
  if (Test-Switch 'LAI_FORCE') { $Force = $true }
  # Of this run alone: the agent keeps what else begins with LAI_.
  Remove-Item -Path 'Env:LAI_DRY_RUN', 'Env:LAI_UNINSTALL', 'Env:LAI_PURGE', 'Env:LAI_FORCE' -ErrorAction SilentlyContinue
  Assert-Computer
  if ($Uninstall) { Uninstall-Agent } else { Install-Agent }
} @args }
