--[[
  Gives a slot back, on the node and on the model.

  KEYS[1]  zset of the node's leases
  KEYS[2]  zset of the model's leases on that node
  ARGV[1]  lease id
]]
redis.call('ZREM', KEYS[1], ARGV[1])
return redis.call('ZREM', KEYS[2], ARGV[1])
