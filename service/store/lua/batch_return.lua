-- batch_return: an item goes back, to be run later or by another worker. Only by the worker that holds it.
-- KEYS: 1 mgw:{q:<shard>}:stream (stream)   2 mgw:{q:<shard>}:delayed (zset item -> due_ms)
--       3 mgw:{q:<shard>}:pauses (hash batch -> until_ms)   4 mgw:{q:<shard>}:cursors (hash)
-- ARGV: 1 now_ms (0: TIME)  2 consumer  3 entry  4 batch  5 key_id  6 number  7 tries  8 deaths  9 wait_ms (0: at once)
--       10 1: no item of the batch begins before then  11 shard_ttl_ms
-- Returns 1; 0: another worker holds it, or it has ended. O(log n). Safe to repeat after a lost reply.
-- USES: batch
local stream, delayed, pauses = KEYS[1], KEYS[2], KEYS[3]
local now = batch_clock(ARGV[1])
local batch, wait = ARGV[4], tonumber(ARGV[9])
local pending = redis.call('XPENDING', stream, GROUP, ARGV[3], ARGV[3], 1)
if not pending[1] or pending[1][2] ~= ARGV[2] then return 0 end
redis.call('XACK', stream, GROUP, ARGV[3])
redis.call('XDEL', stream, ARGV[3])
if wait <= 0 then
  batch_push(stream, batch, ARGV[5], ARGV[6], ARGV[7], ARGV[8])
  return 1
end
redis.call('ZADD', delayed, now + wait, string.format('%s %s %s %s %s', batch, ARGV[5], ARGV[6], ARGV[7], ARGV[8]))
redis.call('PEXPIRE', delayed, ARGV[11])
if ARGV[10] == '1' and redis.call('HEXISTS', KEYS[4], batch) == 1 then
  redis.call('HSET', pauses, batch, now + wait)
  redis.call('PEXPIRE', pauses, ARGV[11])
end
return 1
