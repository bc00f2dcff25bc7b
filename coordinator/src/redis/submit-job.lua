--[[
  Records an asynchronous job, once per id, unless Redis is fuller than new jobs may make it: jobs that run need the rest for their results.
  Half of the machine is taken as the bound of a Redis that has none of its own.

  KEYS[1]  hash of the job
  ARGV[1]  hash of the request body, to tell a repeated request from another one under the same idempotency key
  ARGV[2]  time to live, seconds
  ARGV[3]  part of Redis's memory that may be in use, 0 to 1
  ARGV[4…] field, value, …

  Returns {1} recorded, {0, body hash, state} when there is one of that id already, or {-1} when there is no room.
]]
if redis.call('EXISTS', KEYS[1]) == 1 then
  return { 0, redis.call('HGET', KEYS[1], 'bodyHash'), redis.call('HGET', KEYS[1], 'state') }
end
local memory = redis.call('INFO', 'memory')
local function bytes(name) return tonumber(string.match(memory, name .. ':(%d+)') or 0) end
local most = bytes('maxmemory')
if most == 0 then most = bytes('total_system_memory') / 2 end
if most > 0 and bytes('used_memory') > most * tonumber(ARGV[3]) then return { -1 } end
redis.call('HSET', KEYS[1], 'state', 'queued', 'fence', 0, 'bodyHash', ARGV[1], unpack(ARGV, 4))
redis.call('EXPIRE', KEYS[1], ARGV[2])
return { 1 }
