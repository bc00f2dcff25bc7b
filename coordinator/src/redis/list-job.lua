--[[
  Takes a place among the jobs that have not ended, before the job is recorded: so no more are accepted than the lists may hold. A key's
  list is only added to; entries of jobs that have ended leave it when it is full, the oldest first.

  KEYS[1]  ZSET of open jobs: id, when it was submitted (ms)
  KEYS[2]  ZSET of one key's jobs: id and bytes of its body, in one word with a space between; when it was submitted (ms)
  KEYS[3]  STRING: bytes of all bodies in the key's list
  ARGV[1]  job id
  ARGV[2]  when it was submitted, ms
  ARGV[3]  most open jobs
  ARGV[4]  bytes of the body
  ARGV[5]  most jobs of one key
  ARGV[6]  most bytes of one key
  ARGV[7]  how long a key's list is kept after its last job, seconds
  Returns 1 when it is listed, also when it was before, 0 when the list is full, or -1 when the key's list is.
]]
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 1 end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end

local bytes = tonumber(ARGV[4])
local function isFull()
  return redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[5])
    or tonumber(redis.call('GET', KEYS[3]) or 0) + bytes > tonumber(ARGV[6])
end
local function take(entry)
  if redis.call('ZREM', KEYS[2], entry) == 1 then redis.call('DECRBY', KEYS[3], string.match(entry, ' (%d+)$')) end
end
-- A bounded look at a time: nobody may keep Redis busy by asking.
if isFull() then
  for _, entry in ipairs(redis.call('ZRANGE', KEYS[2], 0, 999)) do
    if not redis.call('ZSCORE', KEYS[1], string.match(entry, '^(%S+)')) then take(entry) end
  end
  if isFull() then return -1 end
end
if redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1] .. ' ' .. ARGV[4]) == 1 then redis.call('INCRBY', KEYS[3], ARGV[4]) end
redis.call('EXPIRE', KEYS[2], ARGV[7])
redis.call('EXPIRE', KEYS[3], ARGV[7])
return redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
