--[[
  Moves a lease's expiry, and takes the slot anew if it was lost (Redis came back empty): the attempt runs, so it counts.

  KEYS[1]  zset of the node's leases
  KEYS[2]  zset of the model's leases on that node
  ARGV[1]  lease id
  ARGV[2]  time to live, ms
]]
local time = redis.call('TIME')
local expiry = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2])
for i = 1, 2 do
  redis.call('ZADD', KEYS[i], expiry, ARGV[1])
  redis.call('PEXPIRE', KEYS[i], tonumber(ARGV[2]) * 2)
end
return 1
