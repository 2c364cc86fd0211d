-- pulse: a worker's sign of life, what it counted since the last one, and what others ask of it, in one round trip.
-- KEYS: 1 mgw:{fleet}:workers (zset worker -> expires_ms)   2 mgw:{fleet}:row:<worker> (string, JSON)
--       3 mgw:{fleet}:flushed:<worker> (string, the number of the last flush)   4 mgw:{fleet}:watch (string)
--       5 mgw:{fleet}:stops (zset request_id -> expires_ms)   6 mgw:{fleet}:errors (hash account -> JSON)
--       7 mgw:{fleet}:live:<worker> (string, JSON)
-- KEYS each: 1 mgw:{fleet}:<step>:<slot> (hash field -> count)
-- ARGV: 1 now_ms (0: TIME)  2 worker  3 row  4 row_ttl_ms  5 flush number (0: none)  6 live ("": none)  7 errors_ttl_ms
--       8 how many errors, then account and JSON of each; then for each slot: ttl_ms, how many fields, field and count
-- Returns {1 when somebody watches else 0, {request_ids to stop}}.
-- O(fields + workers + stops). Counts of one flush number are added once: safe to repeat, also minutes later.
-- USES: window
local now, worker = clock_ms(ARGV[1]), ARGV[2]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[4], worker)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
if ARGV[6] == '' then redis.call('DEL', KEYS[7]) else redis.call('SET', KEYS[7], ARGV[6], 'PX', ARGV[4]) end

local number, at = tonumber(ARGV[5]), 9
local is_new = number > 0 and tonumber(redis.call('GET', KEYS[3]) or '0') < number
for _ = 1, tonumber(ARGV[8]) do
  if is_new then redis.call('HSET', KEYS[6], ARGV[at], ARGV[at + 1]) end
  at = at + 2
end
if is_new then
  redis.call('PEXPIRE', KEYS[6], ARGV[7])
  redis.call('SET', KEYS[3], number, 'PX', ARGV[7])
  for key = 8, #KEYS do
    local ttl_ms, fields = ARGV[at], tonumber(ARGV[at + 1])
    at = at + 2
    for _ = 1, fields do
      redis.call('HINCRBY', KEYS[key], ARGV[at], ARGV[at + 1])
      at = at + 2
    end
    redis.call('PEXPIRE', KEYS[key], ttl_ms)
  end
end

redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now)
return {redis.call('EXISTS', KEYS[4]), redis.call('ZRANGE', KEYS[5], 0, -1)}
