--[[
  Takes one slot on a node, and on one model of it, or takes nothing.

  KEYS[1]  zset of the leases over this connection of the node: lease id -> expiry in ms
  KEYS[2]  zset of those on the model
  KEYS[3]  epoch of the node's newest connection

  ARGV[1]  lease id
  ARGV[2]  time to live, ms
  ARGV[3]  slots of the node
  ARGV[4]  slots of the model
  ARGV[5]  epoch of the connection that the slot is meant for

  Returns {code, leases on the node, leases on the model} after the call. Code: 1 taken (also when this lease is held already),
  0 no free slot, -1 the node has connected anew since.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local taken = {}
for i = 1, 2 do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
  taken[i] = redis.call('ZCARD', KEYS[i])
end

local epoch = redis.call('GET', KEYS[3])
if epoch and epoch ~= ARGV[5] then return { -1, taken[1], taken[2] } end

if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  for i = 1, 2 do
    if taken[i] >= tonumber(ARGV[2 + i]) then return { 0, taken[1], taken[2] } end
  end
  taken[1] = taken[1] + 1
  taken[2] = taken[2] + 1
end
for i = 1, 2 do
  redis.call('ZADD', KEYS[i], now + tonumber(ARGV[2]), ARGV[1])
  redis.call('PEXPIRE', KEYS[i], tonumber(ARGV[2]) * 2)
end
return { 1, taken[1], taken[2] }
