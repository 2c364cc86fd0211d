-- usage_day: an API key was used on a day: reports find its usage by this.
-- KEYS: 1 mgw:{usage}:<day> (hash key_id -> the key's name)
-- ARGV: 1 key_id  2 name  3 ledger_ttl_ms
-- Returns 1. O(1). Safe to repeat.
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
