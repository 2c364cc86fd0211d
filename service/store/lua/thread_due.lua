-- thread_due: conversations at the studio whose time is over. Who asks deletes them, and takes them out when it has:
-- until then they are due again after a while, for whichever worker looks first.
-- KEYS: 1 mgw:{t:<account>}:due (zset conversation_id -> at_ms)
-- ARGV: 1 now_ms (0: TIME)  2 how many at most  3 again_ms
-- Returns the conversation ids, the longest due first. O(how many * log conversations of the account).
-- Repeating is safe: after a lost reply they are due again later.
-- USES: window
local now = clock_ms(ARGV[1])
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])
for _, id in ipairs(due) do redis.call('ZADD', KEYS[1], now + ARGV[3], id) end
return due
