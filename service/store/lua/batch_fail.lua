-- batch_fail: the batch's file is not valid: no item runs.
-- KEYS: 1 mgw:{q:<shard>}:b:<key_id>:<batch>:meta (hash)   2 mgw:{q:<shard>}:b:<key_id>:<batch>:items (hash)
--       3 mgw:{q:<shard>}:b:<key_id>:<batch>:names (hash)   4 mgw:{q:<shard>}:expiries (zset)
-- ARGV: 1 now_ms (0: TIME)  2 batch  3 key_id  4 its faults, sealed
-- Returns 1; 0: it is past that. Safe to repeat.
-- USES: batch
local meta = KEYS[1]
local now = batch_clock(ARGV[1])
local state = redis.call('HGET', meta, 'state')
if not state or redis.call('HEXISTS', meta, 'total') == 1 or state == 'failed' then return 0 end
redis.call('HSET', meta, 'state', 'failed', 'ended_ms', now, 'faults', ARGV[4])
redis.call('UNLINK', KEYS[2], KEYS[3])
redis.call('ZREM', KEYS[4], ARGV[2] .. ' ' .. ARGV[3])
return 1
