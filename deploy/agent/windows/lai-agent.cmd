@echo off
rem Starts the version of the agent that is current; the launcher finds the Node that it wants.
"%~dp0node.exe" "%~dp0lai-launch.js" %*
