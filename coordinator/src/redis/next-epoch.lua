--[[
  The number of a node's new connection: greater than every earlier one, also when Redis has lost its memory meanwhile,
  because it is never less than the clock.

  KEYS[1]  epoch of the node's newest connection
  Returns the epoch as a string (it is too large for Lua's integer conversion to be trusted with).
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = tonumber(redis.call('GET', KEYS[1]) or '0')
local epoch = string.format('%.0f', math.max(now, last + 1))
redis.call('SET', KEYS[1], epoch)
return epoch
