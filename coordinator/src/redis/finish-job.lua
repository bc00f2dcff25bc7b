--[[
  Records the one result of a job: its outcome and its usage together, under the fence of the run that made it.

  KEYS[1]  hash of the job
  ARGV[1]  fence
  ARGV[2]  state: completed or failed
  ARGV[3]  time to live from now, seconds
  ARGV[4…] field, value, …

  Returns 1 recorded, 0 refused: the job has ended already, or a later run has begun.
]]
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then return 0 end
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'queued' and state ~= 'running' then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[2], unpack(ARGV, 4))
redis.call('HDEL', KEYS[1], 'payload')
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
