--[[
  A run of a job has ended without a result: the job waits again. What that run may still have to say counts until the next one begins.

  KEYS[1]  hash of the job
  ARGV[1]  fence of the run
  Returns 1, or 0 when the job has ended or a later run has begun.
]]
local job = redis.call('HMGET', KEYS[1], 'state', 'fence')
if job[1] ~= 'running' or job[2] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'state', 'queued')
redis.call('HDEL', KEYS[1], 'startedAtMs')
return 1
