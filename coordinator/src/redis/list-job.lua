--[[
  Takes a place among the jobs that have not ended, before the job is recorded: so no more are accepted than the list may hold.

  KEYS[1]  ZSET of open jobs
  ARGV[1]  job id
  ARGV[2]  when it was submitted, ms
  ARGV[3]  most jobs
  Returns 1 when it is listed, also when it was before, or 0 when the list is full.
]]
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 1 end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
return redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
