--[[
  Counts a strike against a request's fingerprint, or takes one back; once, however often it is told.

  KEYS[1]  zset: fingerprint -> strikes
  KEYS[2]  zset: fingerprint -> when they are forgotten, ms
  KEYS[3]  zset: change that was counted -> when it is forgotten, ms

  ARGV[1]  fingerprint
  ARGV[2]  change: 1 or -1
  ARGV[3]  time to live, ms
  ARGV[4]  the change's own id

  Returns the number of strikes now.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
  redis.call('ZREM', KEYS[1], old)
  redis.call('ZREM', KEYS[2], old)
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
if redis.call('ZADD', KEYS[3], 'NX', now + tonumber(ARGV[3]), ARGV[4]) == 0 then
  return tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
end
local count = tonumber(redis.call('ZINCRBY', KEYS[1], ARGV[2], ARGV[1]))
if count <= 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 0
end
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[3]), ARGV[1])
return count
