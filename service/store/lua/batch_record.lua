-- batch_record: an item's result and its acknowledgement, as one. The first result stands.
-- KEYS: 1 mgw:{q:<shard>}:stream (stream)   2 mgw:{q:<shard>}:b:<key_id>:<batch>:meta (hash)
--       3 mgw:{q:<shard>}:b:<key_id>:<batch>:items (hash number -> sealed body)
--       4 mgw:{q:<shard>}:b:<key_id>:<batch>:results (hash number -> status letter and sealed line)
--       5 mgw:{q:<shard>}:files:<key_id> (zset file -> created_ms)
--       6 mgw:{q:<shard>}:dead (stream of dead letters)
-- ARGV: 1 now_ms (0: TIME)  2 entry  3 number  4 status (succeeded, errored, canceled, expired)  5 the stored value
--       6 bytes of its line  7 input, 8 cached, 9 output, 10 reasoning tokens  11 deaths, when it is a dead letter, or ''
--       12 batch  13 dead_ttl_ms
-- Returns 1; 0: it had a result already; -1: the batch is gone. O(1). Safe to repeat after a lost reply.
-- USES: batch
local stream, meta, items, results, files, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local now = batch_clock(ARGV[1])
local number, status = ARGV[3], ARGV[4]
redis.call('XACK', stream, GROUP, ARGV[2])
redis.call('XDEL', stream, ARGV[2])
local ttl = redis.call('PTTL', meta)
if ttl == -2 then return -1 end
if redis.call('HSETNX', results, number, ARGV[5]) == 0 then return 0 end
redis.call('PEXPIRE', results, ttl)
redis.call('HDEL', items, number)
redis.call('HINCRBY', meta, status, 1)
redis.call('HINCRBY', meta, status == 'succeeded' and 'output_bytes' or 'error_bytes', ARGV[6])
for i, field in ipairs({'input_tokens', 'cached_tokens', 'output_tokens', 'reasoning_tokens'}) do
  if ARGV[6 + i] ~= '0' then redis.call('HINCRBY', meta, field, ARGV[6 + i]) end
end
if ARGV[11] ~= '' then
  redis.call('XADD', dead, 'MAXLEN', '~', 10000, '*', 'b', ARGV[12], 'n', number, 'd', ARGV[11])
  redis.call('PEXPIRE', dead, ARGV[13])
end
batch_close(meta, items, files, now)
return 1
