# Makes this Windows computer a node of a Lai fleet, or repairs or upgrades one. Served by the coordinator, which fills in its address
# and the key of its releases. As administrator, in Windows PowerShell 5.1 or PowerShell 7:
#
#   $env:LAI_TOKEN = '<token>'; irm https://<coordinator>/install.ps1 | iex
#   & ([scriptblock]::Create((irm https://<coordinator>/install.ps1))) -DryRun        only say what would be done
#   & ([scriptblock]::Create((irm https://<coordinator>/install.ps1))) -Uninstall     -Purge: settings, identity and models too
#
# Instead of the switches: LAI_DRY_RUN=1, LAI_UNINSTALL=1, LAI_PURGE=1. Nothing is opened in the firewall: the agent only calls out.
# Everything below is one block, so half a download is a parse error and runs nothing; up to its last character, because without the
# `@args` inside of it a wish for -DryRun would be lost.
if ($true) { & {
  param(
    [switch] $DryRun,
    [switch] $Uninstall,
    [switch] $Purge,
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
  $Service = 'LAIAgent'
  $Task = 'LAIAgentDesktop'
  $Program = Join-Path $env:ProgramFiles 'LAI'
  $Config = Join-Path $env:ProgramData 'LAI'
  $Data = Join-Path $Config 'state'
  $Command = Join-Path $Program 'lai-agent.cmd'
  # Settings that are kept for the service when they are set where this runs; never the token.
  $Kept = 'LAI_NODE_NAME', 'LAI_INSECURE', 'LAI_RUNTIME', 'LAI_OLLAMA_URL', 'LAI_MODELS_DIR',
    'HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY', 'NODE_EXTRA_CA_CERTS'

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

  function Assert-Filled {
    if ($Url -notmatch '^https?://') { throw 'This script is a template. Get it from your coordinator: <its address>/install.ps1' }
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

  function Save-File([string] $Name, [string] $Path) {
    $options = Get-WebOptions
    Invoke-WebRequest @options -Uri "$Url/dl/$Version/$Name" -OutFile $Path
  }

  # The names of files are the release's to choose, and the places are ours.
  function Get-Release([string] $Folder) {
    $path = Join-Path $Folder 'manifest.json'
    Save-File 'manifest.json' $path
    Save-File 'manifest.json.sig' "$path.sig"
    $manifest = [IO.File]::ReadAllText($path) | ConvertFrom-Json
    if ($manifest.version -notmatch '^\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$') { throw 'The coordinator has no release that could be installed.' }
    $found = $manifest.platforms.PSObject.Properties['win32-x64']
    if (-not $found) { throw "Version $($manifest.version) is not made for Windows." }
    $platform = $found.Value
    if ($platform.archive.name -notmatch '^win32-x64\.zip$') { throw "The archive is called $($platform.archive.name)." }
    return @{ Version = $manifest.version; Runtime = $platform.runtime; Archive = $platform.archive; Path = $path }
  }

  function Save-Archive([hashtable] $Release, [string] $Folder) {
    $path = Join-Path $Folder $Release.Archive.name
    Save-File $Release.Archive.name $path
    $sum = (Get-FileHash -LiteralPath $path -Algorithm SHA256).Hash
    if ($sum -ne $Release.Archive.sha256) { throw 'The download is not what the release says. Nothing was changed.' }
    Add-Type -AssemblyName System.IO.Compression.FileSystem
    $unpacked = Join-Path $Folder 'unpacked'
    [IO.Compression.ZipFile]::ExtractToDirectory($path, $unpacked)
    return $unpacked
  }

  # No PowerShell checks Ed25519, but Node does; and that this Node is Node, Windows checks.
  function Assert-Signed([hashtable] $Release, [string] $Unpacked, [string] $Folder) {
    $node = Join-Path $Unpacked "runtime\$($Release.Runtime)\node.exe"
    $signature = Get-AuthenticodeSignature -LiteralPath $node
    if ('NotSigned', 'HashMismatch' -contains [string] $signature.Status) { throw "node.exe is not as its makers signed it: $($signature.Status)." }
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

  # A file, or a folder with everything in it.
  function Test-Same([string] $One, [string] $Other) {
    if (-not (Test-Path -LiteralPath $Other)) { return $false }
    if (Test-Path -LiteralPath $One -PathType Leaf) {
      return (Get-FileHash -LiteralPath $One).Hash -eq (Get-FileHash -LiteralPath $Other).Hash
    }
    $different = @(Get-ChildItem -LiteralPath $One | Where-Object { -not (Test-Same $_.FullName (Join-Path $Other $_.Name)) })
    return $different.Count -eq 0
  }

  function Get-Missing([hashtable] $Release, [string] $Unpacked) {
    $names = @(Get-ChildItem -LiteralPath $Unpacked -File | ForEach-Object { $_.Name })
    $names += "runtime\$($Release.Runtime)", "versions\$($Release.Version)"
    return @($names | Where-Object { -not (Test-Same (Join-Path $Unpacked $_) (Join-Path $Program $_)) })
  }

  function Stop-Agent {
    $running = Get-Service -Name $Service -ErrorAction SilentlyContinue
    if ($running -and $running.Status -ne 'Stopped') { Stop-Service -Name $Service -Force }
  }

  # Copied and not moved: what is moved keeps the access list of where it was.
  function Copy-Program([string[]] $Names, [string] $Unpacked) {
    New-Item -ItemType Directory -Force -Path $Program | Out-Null
    foreach ($name in $Names) {
      $target = Join-Path $Program $name
      New-Item -ItemType Directory -Force -Path (Split-Path $target) | Out-Null
      if (Test-Path -LiteralPath $target) { Remove-Item -LiteralPath $target -Recurse -Force }
      Copy-Item -LiteralPath (Join-Path $Unpacked $name) -Destination $target -Recurse
    }
  }

  function Get-CurrentText([string] $Wanted) {
    return "{`"version`":`"$Wanted`"}`n"
  }

  # True: another program is in place than before.
  function Install-Program([hashtable] $Release, [string] $Folder) {
    $unpacked = Save-Archive $Release $Folder
    Assert-Signed $Release $unpacked $Folder
    $missing = @(Get-Missing $Release $unpacked)
    $current = Join-Path $Program 'current.json'
    $text = Get-CurrentText $Release.Version
    $isCurrent = (Test-Path -LiteralPath $current) -and [IO.File]::ReadAllText($current) -eq $text
    if ($missing.Count -eq 0 -and $isCurrent) { return $false }
    # Windows does not replace what runs.
    Invoke-Step 'stop the service' { Stop-Agent }
    if ($missing.Count -gt 0) { Invoke-Step "put $($missing -join ', ') into $Program" { Copy-Program $missing $unpacked } }
    Invoke-Step "make $($Release.Version) current" { [IO.File]::WriteAllText($current, $text) }
    return $true
  }

  # True: a setting has changed. Only what is set here and now is overwritten.
  function Set-Settings {
    $path = Join-Path $Config 'agent.env'
    $lines = @()
    if (Test-Path -LiteralPath $path) { $lines = @([IO.File]::ReadAllLines($path)) }
    $before = $lines -join "`n"
    foreach ($name in $Kept) {
      $value = [Environment]::GetEnvironmentVariable($name)
      if (-not $value) { continue }
      $lines = @($lines | Where-Object { -not $_.StartsWith("$name=") }) + "$name=$value"
    }
    if (($lines -join "`n") -eq $before) { return $false }
    Invoke-Step "write $path" {
      New-Item -ItemType Directory -Force -Path $Config | Out-Null
      [IO.File]::WriteAllLines($path, [string[]] $lines)
    }
    return $true
  }

  function Invoke-Agent([string[]] $Words) {
    & (Join-Path $Program 'node.exe') (Join-Path $Program 'lai-launch.js') @Words
    if ($LASTEXITCODE -ne 0) { throw "lai-agent $($Words -join ' ') ended with $LASTEXITCODE." }
  }

  # The token is in the environment: no list of processes shows it, and it is gone from there afterwards.
  function Join-Fleet {
    if (Test-Path -LiteralPath (Join-Path $Data 'node.json')) {
      Write-Step 'this computer has joined already'
      return
    }
    if (-not $env:LAI_TOKEN -and -not $DryRun) { throw 'A registration token is needed: set LAI_TOKEN to one of `lai join-command` and run this again.' }
    Invoke-Step "join $Url" { Invoke-Agent @('join', '--url', $Url) }
  }

  # True: the service was not as it should be.
  function Register-Agent {
    $words = @('service', 'install', '--json')
    if ($Account) { $words += @('--account', $Account) }
    $said = Invoke-Step 'register the service' { Invoke-Agent $words }
    return ($said -join ' ') -match '"outcome":\s*"(created|changed)"'
  }

  function Start-Agent([bool] $HasChanged) {
    $now = Get-Service -Name $Service -ErrorAction SilentlyContinue
    $isRunning = $now -and $now.Status -eq 'Running'
    if ($isRunning -and $HasChanged) { Invoke-Step 'restart the service' { Invoke-Agent @('service', 'restart') } }
    elseif (-not $isRunning) { Invoke-Step 'start the service' { Invoke-Agent @('service', 'start') } }
  }

  function Get-Status {
    $ErrorActionPreference = 'Continue'
    return (& $Command status --json 2>&1) -join ' '
  }

  function Wait-Connected {
    if ($DryRun) { return }
    for ($look = 0; $look -lt 30; $look++) {
      if ((Get-Status) -match '"state":\s*"open"') {
        Write-Step 'connected to the coordinator'
        return
      }
      Start-Sleep -Seconds 2
    }
    Write-Warning 'The agent runs and is not connected after a minute. Ask it why: lai-agent doctor'
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
    Assert-Filled
    Initialize-Network
    $folder = Join-Path ([IO.Path]::GetTempPath()) "lai-$([Guid]::NewGuid())"
    New-Item -ItemType Directory -Path $folder | Out-Null
    try {
      $release = Get-Release $folder
      Write-Step "version $($release.Version) for $env:COMPUTERNAME"
      $hasChanged = @(Set-Settings)[-1]
      if ($DryRun) { Write-Step "would install $($release.Version) in $Program unless it is there" }
      elseif (@(Install-Program $release $folder)[-1]) { $hasChanged = $true }
      Join-Fleet
      if (@(Register-Agent)[-1]) { $hasChanged = $true }
      Add-ToPath
      Start-Agent $hasChanged
      Wait-Connected
    } finally {
      Remove-Item -LiteralPath $folder -Recurse -Force -ErrorAction SilentlyContinue
      Remove-Item -Path Env:LAI_TOKEN -ErrorAction SilentlyContinue
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

  # Run by `iex` there are no arguments, and an empty one may arrive as the first.
  if (-not $Version) { $Version = 'latest' }
  if (Test-Switch 'LAI_DRY_RUN') { $DryRun = $true }
  if (Test-Switch 'LAI_UNINSTALL') { $Uninstall = $true }
  if (Test-Switch 'LAI_PURGE') { $Purge = $true }
  Assert-Computer
  if ($Uninstall) { Uninstall-Agent } else { Install-Agent }
} @args }
