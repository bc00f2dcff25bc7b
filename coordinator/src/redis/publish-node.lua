--[[
  Writes a node's record unless the node has a newer connection.

  KEYS[1]  the record
  KEYS[2]  epoch of the node's newest connection

  ARGV[1]  epoch of the connection that writes
  ARGV[2]  the record, JSON
  ARGV[3]  time to live, ms

  Returns 1 written, 0 refused: a newer epoch exists.
]]
local epoch = redis.call('GET', KEYS[2])
if epoch and tonumber(epoch) > tonumber(ARGV[1]) then return 0 end
-- Also of a node that has connected while we were away, and counted by itself: its slots are claimed under this epoch.
if not epoch or tonumber(epoch) < tonumber(ARGV[1]) then redis.call('SET', KEYS[2], ARGV[1]) end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
