-- batch_stop: a batch is canceled, or its time is over: no further item begins; those under way end as they end.
-- KEYS: 1 mgw:{q:<shard>}:b:<key_id>:<batch>:meta (hash)   2 mgw:{q:<shard>}:b:<key_id>:<batch>:items (hash)
--       3 mgw:{q:<shard>}:turns (zset)   4 mgw:{q:<shard>}:cursors (hash)   5 mgw:{q:<shard>}:owners (hash)
--       6 mgw:{q:<shard>}:waits (zset)   7 mgw:{q:<shard>}:delayed (zset item -> due_ms)
--       8 mgw:{q:<shard>}:expiries (zset)   9 mgw:{q:<shard>}:files:<key_id> (zset)
--       10 mgw:{q:<shard>}:pauses (hash)
-- ARGV: 1 now_ms (0: TIME)  2 batch  3 key_id  4 the state it takes: canceling or expiring
-- Returns the state that it has then, or '' when there is no such batch. A batch that stops or is over keeps its state.
-- Expiring before the time does nothing. O(log batches + items that wait for another try). Safe to repeat.
-- USES: batch
local meta, items, turns, cursors, owners, waits = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local delayed, expiries, files = KEYS[7], KEYS[8], KEYS[9]
local now = batch_clock(ARGV[1])
local batch, wanted = ARGV[2], ARGV[4]
local v = redis.call('HMGET', meta, 'state', 'expires_ms')
local state = v[1]
local is_over = not state or state == 'ended' or state == 'failed'
if wanted == 'expiring' and (is_over or tonumber(v[2]) <= now) then
  redis.call('ZREM', expiries, batch .. ' ' .. ARGV[3])
  -- Look again in a minute: its last items may get lost with a server (batch_mend).
  if not is_over then redis.call('ZADD', expiries, now + 60000, batch .. ' ' .. ARGV[3]) end
end
if not state or state == 'filling' then return '' end
if state ~= 'in_progress' and state ~= 'validating' then return state end
if wanted == 'expiring' and tonumber(v[2]) > now then return state end

local left_as = wanted == 'canceling' and 'canceled' or 'expired'
redis.call('HSET', meta, 'state', wanted, 'left_as', left_as, 'stopped_ms', now)
redis.call('HDEL', KEYS[10], batch)
local rest = batch_unfeed(batch, turns, cursors, owners, waits)
if rest > 0 then redis.call('HINCRBY', meta, left_as, rest) end
for _, member in ipairs(redis.call('ZRANGE', delayed, 0, -1)) do
  if string.sub(member, 1, #batch + 1) == batch .. ' ' then redis.call('ZADD', delayed, 0, member) end
end
batch_close(meta, items, files, now)
return redis.call('HGET', meta, 'state')
