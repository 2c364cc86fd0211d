-- settle: the end of an API key's request: its slot given back, the real tokens in place of the estimate, the cost
-- and the day's usage booked. Once.
-- KEYS: 1 mgw:{k:<key_id>}:settled:<request_id> (string)   2 mgw:{k:<key_id>}:window (zset)
--       3 mgw:{k:<key_id>}:meter (hash window_tokens, spent)   4 mgw:{k:<key_id>}:slots (zset)
--       5 mgw:{k:<key_id>}:usage:<day> (hash `<field>:<model>` -> count)
-- ARGV: 1 now_ms (0: TIME)  2 request_id  3 tokens that were reserved  4 tokens really used; -1: no upstream was
--       asked, the request is taken out of its minute  5 cost_micro_usd  6 guard_ttl_ms  7 ledger_ttl_ms
--       8 model; then pairs of field and count
-- Returns 1, or 0 when it was settled before. O(log of what is in the minute).
-- USES: window
local guard, window, meter, slots, usage = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local now = clock_ms(ARGV[1])
local id, reserved, real, cost = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

redis.call('ZREM', slots, id)
if not redis.call('SET', guard, '1', 'NX', 'PX', ARGV[6]) then return 0 end
if redis.call('EXISTS', window) == 1 then window_settle(window, meter, now, id, reserved, real) end
if cost > 0 then redis.call('HINCRBY', meter, 'spent', cost) end
redis.call('PEXPIRE', meter, ARGV[7])
for i = 9, #ARGV, 2 do
  if ARGV[i + 1] ~= '0' then redis.call('HINCRBY', usage, ARGV[i] .. ':' .. ARGV[8], ARGV[i + 1]) end
end
redis.call('PEXPIRE', usage, ARGV[7])
return 1
