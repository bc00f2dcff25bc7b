# Runs in the session of whoever is logged in, and tells the agent's local door what only a session can see: whether a program is in full
# screen, and which game the user's Steam runs. Started by the task LAIAgentDesktop; disable that task to have it no more.
$ErrorActionPreference = 'SilentlyContinue'
$ProgressPreference = 'SilentlyContinue'
$door = Join-Path $env:ProgramData 'LAI\state\desktop\door.json'
$signature = '[DllImport("shell32.dll")] public static extern int SHQueryUserNotificationState(out int state);'
$shell = Add-Type -PassThru -Name Shell -Namespace Lai -MemberDefinition $signature
$session = (Get-Process -Id $PID).SessionId

function Get-Look {
  $app = (Get-ItemProperty -Path 'HKCU:\Software\Valve\Steam' -Name RunningAppID).RunningAppID
  $state = 0
  [void] $shell::SHQueryUserNotificationState([ref] $state)
  return @{ session = $session; steamAppId = [int] $app; notificationState = $state }
}

# The door's address and token change with each start of the agent; without an agent there is none.
function Send-Look {
  $known = Get-Content -Raw -LiteralPath $door -ErrorAction Stop | ConvertFrom-Json
  $body = Get-Look | ConvertTo-Json -Compress
  $headers = @{ Authorization = "Bearer $($known.token)" }
  $request = @{ Method = 'Post'; Uri = "http://127.0.0.1:$($known.port)/desktop"; TimeoutSec = 3; ErrorAction = 'Stop' }
  Invoke-RestMethod @request -Headers $headers -ContentType 'application/json' -Body $body | Out-Null
}

while ($true) {
  $pauseSeconds = 4
  try { Send-Look } catch { $pauseSeconds = 30 }
  Start-Sleep -Seconds $pauseSeconds
}
