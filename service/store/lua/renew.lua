-- renew: put off the end of members of one set of leases (an account's, a key's slots, the list of workers).
-- KEYS: 1 mgw:… leases (zset member -> expires_ms)
-- ARGV: 1 now_ms (0: TIME)  2 ttl_ms  3… members
-- Returns {how many are alive now, how many others had run out and were dropped, how many of ARGV had run out}.
-- O(members * log n). A member that had run out comes back: it is still in use, and counting it is the truth.
-- Safe to repeat.
-- USES: window
local now = clock_ms(ARGV[1])
local lost = 0
for i = 3, #ARGV do
  local ends = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if not ends or tonumber(ends) <= now then lost = lost + 1 end
  redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[i])
end
local expired = redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)  -- what killed workers left
redis.call('PEXPIRE', KEYS[1], 2 * ARGV[2])
return {redis.call('ZCARD', KEYS[1]), expired, lost}
