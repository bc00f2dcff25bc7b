--[[
  Ends a job before it has a result; a run in progress is fenced off.

  KEYS[1]  hash of the job
  ARGV[1]  now, ms
  Returns the state it had, or false when there is no such job.
]]
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'queued' or state == 'running' then
  redis.call('HSET', KEYS[1], 'state', 'canceled', 'finishedAtMs', ARGV[1])
  redis.call('HDEL', KEYS[1], 'payload')
  redis.call('HINCRBY', KEYS[1], 'fence', 1)
end
return state
