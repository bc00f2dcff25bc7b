--[[
  Records an asynchronous job, once per id.

  KEYS[1]  hash of the job
  ARGV[1]  hash of the request body, to tell a repeated request from another one under the same idempotency key
  ARGV[2]  time to live, seconds
  ARGV[3…] field, value, …

  Returns {1} recorded, or {0, body hash, state} when there is one of that id already.
]]
if redis.call('EXISTS', KEYS[1]) == 1 then
  return { 0, redis.call('HGET', KEYS[1], 'bodyHash'), redis.call('HGET', KEYS[1], 'state') }
end
redis.call('HSET', KEYS[1], 'state', 'queued', 'fence', 0, 'bodyHash', ARGV[1], unpack(ARGV, 3))
redis.call('EXPIRE', KEYS[1], ARGV[2])
return { 1 }
