--[[
  Takes one slot on a node, and on one model of it, or takes nothing.

  KEYS[1]  zset of the node's leases: lease id -> expiry in ms
  KEYS[2]  zset of the model's leases on that node
  KEYS[3]  epoch of the node's newest connection

  ARGV[1]  lease id
  ARGV[2]  time to live, ms
  ARGV[3]  slots of the node
  ARGV[4]  slots of the model
  ARGV[5]  epoch of the connection that the slot is meant for

  Returns 1 taken (also when this lease is held already), 0 no free slot, -1 the node has connected anew since.
]]
local epoch = redis.call('GET', KEYS[3])
if epoch and epoch ~= ARGV[5] then return -1 end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expiry = now + tonumber(ARGV[2])

for i = 1, 2 do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
end
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
  if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return 0 end
end
for i = 1, 2 do
  redis.call('ZADD', KEYS[i], expiry, ARGV[1])
  redis.call('PEXPIRE', KEYS[i], tonumber(ARGV[2]) * 2)
end
return 1
