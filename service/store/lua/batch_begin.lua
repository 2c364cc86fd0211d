-- batch_begin: a batch comes to be. Hidden while its items are being stored, or visible at once with its file to be
-- read by a worker.
-- KEYS: 1 mgw:{q:<shard>}:b:<key_id>:<batch>:meta (hash)   2 mgw:{q:<shard>}:o:<key_id>:<family> (zset batch -> created_ms)
--       3 mgw:{q:<shard>}:all (zset `<key_id> <batch>` -> created_ms)
--       4 mgw:{q:<shard>}:expiries (zset `<batch> <key_id>` -> expires_ms)
--       5 mgw:{q:<shard>}:stream (stream of work)
-- ARGV: 1 now_ms (0: TIME)  2 batch  3 key_id  4 open_ms, its longest running time  5 kept_ms, then  6 hidden_ms, how
--       long a batch may take to be stored (0: visible at once)  7 shard_ttl_ms  8… pairs of meta's fields
-- Returns created_ms. O(log batches). The same batch twice is one batch: safe to repeat after a lost reply.
-- USES: batch
local meta, index, all, expiries, stream = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local now = batch_clock(ARGV[1])
local batch, owner, hidden = ARGV[2], ARGV[3], tonumber(ARGV[6])
local before = redis.call('HGET', meta, 'created_ms')
if before then return tonumber(before) end

local fields = {'created_ms', now, 'expires_ms', now + ARGV[4], 'owner', owner}
for i = 8, #ARGV do fields[#fields + 1] = ARGV[i] end
if hidden > 0 then
  redis.call('HSET', meta, 'state', 'filling', unpack(fields))
  redis.call('PEXPIRE', meta, hidden)
  return now
end
redis.call('HSET', meta, 'state', 'validating', unpack(fields))
redis.call('PEXPIRE', meta, ARGV[4] + ARGV[5])
redis.call('ZADD', index, now, batch)
redis.call('PEXPIRE', index, ARGV[4] + ARGV[5])
redis.call('ZADD', all, now, owner .. ' ' .. batch)
redis.call('ZADD', expiries, now + ARGV[4], batch .. ' ' .. owner)
batch_stream(stream)
batch_push(stream, batch, owner, 'v', 0, 0)
for _, key in ipairs({all, expiries, stream}) do redis.call('PEXPIRE', key, ARGV[7]) end
return now
