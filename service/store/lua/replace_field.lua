-- replace_field: write a field of a hash that is there, and no other: what was removed meanwhile does not come back.
-- KEYS: 1 mgw:… hash
-- ARGV: 1 field  2 value
-- Returns 1, or 0 when there is no such field. O(1). Safe to repeat.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
