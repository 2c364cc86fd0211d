-- abandon: take back an acquire whose caller left before the answer: its place in the queue, and its lease, wherever.
-- KEYS: 1 mgw:{accounts}:queue (zset)   2 mgw:{accounts}:waiters (hash)
-- KEYS each: 1 mgw:{accounts}:a:<name>:leases (zset)   2 mgw:{accounts}:a:<name>:state (hash)
--       3 mgw:{accounts}:a:<name>:window (zset)
-- ARGV: 1 lease_id  2 tokens that were reserved
-- Returns how many leases were taken back (0 or 1). O(candidates). Safe to repeat.
-- USES: window
local lease_id = ARGV[1]
redis.call('ZREM', KEYS[1], lease_id)
redis.call('HDEL', KEYS[2], lease_id)
local freed = 0
for i = 3, #KEYS, 3 do
  if redis.call('ZREM', KEYS[i], lease_id) == 1 then
    freed = freed + 1
    if redis.call('HGET', KEYS[i + 1], 'probe') == lease_id then redis.call('HDEL', KEYS[i + 1], 'probe') end
    if redis.call('EXISTS', KEYS[i + 2]) == 1 then
      window_settle(KEYS[i + 2], KEYS[i + 1], 0, lease_id, tonumber(ARGV[2]), -1)
    end
  end
end
return freed
