-- batch_start: all items are stored: the batch becomes visible and its items wait for their turn.
-- KEYS: 1 mgw:{q:<shard>}:b:<key_id>:<batch>:meta (hash)   2 mgw:{q:<shard>}:b:<key_id>:<batch>:items (hash number -> sealed body)
--       3 mgw:{q:<shard>}:b:<key_id>:<batch>:names (hash number -> sealed custom_id)
--       4 mgw:{q:<shard>}:o:<key_id>:<family> (zset batch -> created_ms)
--       5 mgw:{q:<shard>}:all (zset `<key_id> <batch>` -> created_ms)
--       6 mgw:{q:<shard>}:expiries (zset `<batch> <key_id>` -> expires_ms)
--       7 mgw:{q:<shard>}:turns (zset batch -> its virtual time, see batch_claim)
--       8 mgw:{q:<shard>}:cursors (hash batch -> `<next> <total> <key_id>`; `:clock`)
--       9 mgw:{q:<shard>}:owners (hash key_id -> batches with items that wait)
--       10 mgw:{q:<shard>}:waits (zset batch -> when it was last served)
--       11 mgw:{q:<shard>}:files:<key_id> (zset file -> created_ms)
-- ARGV: 1 now_ms (0: TIME)  2 batch  3 key_id  4 total  5 kept_ms after its end  6 shard_ttl_ms
--       7 max_open: how many batches of one key may have items that wait
-- Returns 1; 0: it was started before; -1: no such batch (it took too long to store); -2: max_open is reached.
-- O(log batches). Safe to repeat after a lost reply.
-- USES: batch
local meta, items, names, index, all, expiries = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local turns, cursors, owners, waits, files = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local now = batch_clock(ARGV[1])
local batch, owner, total = ARGV[2], ARGV[3], tonumber(ARGV[4])
local v = redis.call('HMGET', meta, 'state', 'created_ms', 'expires_ms', 'left_as')
local state = v[1]
if not state then return -1 end
if redis.call('HEXISTS', meta, 'total') == 1 then return 0 end
if state == 'filling' and tonumber(redis.call('HGET', owners, owner) or '0') >= tonumber(ARGV[7]) then return -2 end

redis.call('HSET', meta, 'total', total, 'started_ms', now)
local ttl = math.max(v[3] - now, 0) + ARGV[5]
for _, key in ipairs({meta, items, names}) do redis.call('PEXPIRE', key, ttl) end
redis.call('ZADD', index, v[2], batch)
redis.call('PEXPIRE', index, ttl)
redis.call('ZADD', all, v[2], owner .. ' ' .. batch)
if state == 'canceling' or state == 'expiring' then  -- told to stop while its file was being read
  redis.call('HINCRBY', meta, v[4], total)
else
  redis.call('HSET', meta, 'state', 'in_progress')
  redis.call('ZADD', expiries, v[3], batch .. ' ' .. owner)
  if total > 0 then
    redis.call('HSET', cursors, batch, string.format('0 %d %s', total, owner))
    redis.call('HINCRBY', owners, owner, 1)
    redis.call('ZADD', turns, redis.call('HGET', cursors, ':clock') or '0', batch)
    redis.call('ZADD', waits, now, batch)
  end
end
batch_close(meta, items, files, now)
for _, key in ipairs({all, expiries, turns, cursors, owners, waits}) do redis.call('PEXPIRE', key, ARGV[6]) end
return 1
