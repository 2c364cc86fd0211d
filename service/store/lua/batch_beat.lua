-- batch_beat: the heartbeat of a worker: the items it holds stay its own for another while.
-- KEYS: 1 mgw:{q:<shard>}:stream (stream)
-- ARGV: 1 consumer  2… entries
-- Returns the entries that it does not hold any more: another worker took them, or they have ended. O(entries * log n).
-- Claiming with JUSTID counts as no delivery. Safe to repeat.
-- USES: batch
local lost = {}
for i = 2, #ARGV do
  local pending = redis.call('XPENDING', KEYS[1], GROUP, ARGV[i], ARGV[i], 1)
  if pending[1] and pending[1][2] == ARGV[1] then
    redis.call('XCLAIM', KEYS[1], GROUP, ARGV[1], 0, ARGV[i], 'JUSTID')
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
