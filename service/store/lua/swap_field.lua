-- swap_field: change a field of a hash if it is what the caller last saw: of two changes side by side one is told.
-- KEYS: 1 mgw:… hash
-- ARGV: 1 field  2 value seen ('': there was none)  3 value from now on ('': none)
-- Returns 1, or 0 when the field is something else by now. O(1). Safe to repeat: what is so already is done.
local found = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if found == ARGV[3] then return 1 end
if found ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
return 1
