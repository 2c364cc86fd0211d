-- batch_mend: put items back that no worker holds and nothing waits with: a failover may lose the last entries of the
-- stream. Only once all items of the batch have begun: then what is left of `items` is what has not ended.
-- KEYS: 1 mgw:{q:<shard>}:stream (stream)   2 mgw:{q:<shard>}:delayed (zset item -> due_ms)
--       3 mgw:{q:<shard>}:cursors (hash)   4 mgw:{q:<shard>}:b:<key_id>:<batch>:meta (hash)
--       5 mgw:{q:<shard>}:b:<key_id>:<batch>:items (hash number -> sealed body)
-- ARGV: 1 batch  2 key_id
-- Returns how many items were put back. O(items left + entries of the shard). Safe to repeat.
-- USES: batch
local stream, delayed, cursors, meta, items = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local batch = ARGV[1]
local v = redis.call('HMGET', meta, 'state', 'total')
local state = v[1]
if not state or state == 'filling' or state == 'ended' or state == 'failed' then return 0 end
if redis.call('HEXISTS', cursors, batch) == 1 then return 0 end
local known, job_waits = {}, false
local function know(of, number)
  if of == batch then
    known[number] = true
    job_waits = job_waits or number == 'v'
  end
end
for _, entry in ipairs(redis.call('XRANGE', stream, '-', '+')) do
  local fields = {}
  for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
  know(fields.b, fields.n)
end
for _, member in ipairs(redis.call('ZRANGE', delayed, 0, -1)) do
  know(string.match(member, '^(%S+) %S+ (%S+)'))
end
batch_stream(stream)
if not v[2] then  -- its file is still to be read
  if job_waits then return 0 end
  batch_push(stream, batch, ARGV[2], 'v', 0, 0)
  return 1
end
local put = 0
for _, number in ipairs(redis.call('HKEYS', items)) do
  if not known[number] then
    batch_push(stream, batch, ARGV[2], number, 0, 0)
    put = put + 1
  end
end
return put
