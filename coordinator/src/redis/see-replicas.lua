--[[
  Says that a replica is here, and who else is. By the clock of Redis: replicas' own may be hours apart.

  KEYS[1]  zset, replica id -> when it was last heard of, ms
  ARGV[1]  the replica that asks
  ARGV[2]  who has not been heard of for so long is gone, ms
  Returns the ids of those who are here, the asking one among them.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local oldest = now - tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. oldest)
return redis.call('ZRANGE', KEYS[1], 0, -1)
