-- thread_keep: a conversation at the studio waits for its next turn, and is deleted when its time is over.
-- KEYS: 1 mgw:{t:<account>}:thread:<key_id>:<digest> (string)   2 mgw:{t:<account>}:due (zset conversation_id -> at_ms)
-- ARGV: 1 now_ms (0: TIME)  2 value, sealed  3 ttl_ms  4 conversation_id ('': it is never deleted)
--       5 grace_ms after the lifetime, for a turn that took it at the last moment   6 due_ttl_ms   7 how many at most
-- Returns 1. O(log conversations of the account). Repeating is safe: it says the same twice.
-- USES: window
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if ARGV[4] ~= '' then
  redis.call('ZADD', KEYS[2], clock_ms(ARGV[1]) + ARGV[3] + ARGV[5], ARGV[4])
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - ARGV[7])
  redis.call('PEXPIRE', KEYS[2], ARGV[6])
end
return 1
