-- renew: put off the end of members of one set of leases (an account's, a key's slots, the list of workers).
-- KEYS: 1 mgw:… leases (zset member -> expires_ms)
-- ARGV: 1 now_ms (0: TIME)  2 ttl_ms  3… members
-- Returns how many are alive now. O(members * log n). A member that had run out comes back: it is still in use, and
-- counting it is the truth. Safe to repeat.
-- USES: window
local now = clock_ms(ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)  -- what killed workers left
for i = 3, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], 2 * ARGV[2])
return redis.call('ZCARD', KEYS[1])
