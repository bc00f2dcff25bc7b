--[[
  Begins a run of a job. Each run gets a greater fence; what an earlier run still has to say is refused from now on.

  KEYS[1]  hash of the job
  ARGV[1]  now, ms
  Returns the fence, or 0 when the job has ended, was cancelled, or is gone.
]]
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'queued' and state ~= 'running' then return 0 end
redis.call('HSET', KEYS[1], 'state', 'running', 'startedAtMs', ARGV[1])
return redis.call('HINCRBY', KEYS[1], 'fence', 1)
