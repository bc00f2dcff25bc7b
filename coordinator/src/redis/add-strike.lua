--[[
  Counts a strike against a request's fingerprint, or takes one back.

  KEYS[1]  zset: fingerprint -> strikes
  KEYS[2]  zset: fingerprint -> when they are forgotten, ms

  ARGV[1]  fingerprint
  ARGV[2]  change: 1 or -1
  ARGV[3]  time to live, ms

  Returns the number of strikes now.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
  redis.call('ZREM', KEYS[1], old)
  redis.call('ZREM', KEYS[2], old)
end
local count = tonumber(redis.call('ZINCRBY', KEYS[1], ARGV[2], ARGV[1]))
if count <= 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 0
end
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[3]), ARGV[1])
return count
