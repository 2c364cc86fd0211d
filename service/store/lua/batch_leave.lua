-- batch_leave: forget consumers that hold nothing: this one, when it stops, and any that was silent for long.
-- KEYS: 1 mgw:{q:<shard>}:stream (stream)
-- ARGV: 1 consumer, or ''  2 silent_ms
-- Returns how many were forgotten. O(consumers). Safe to repeat.
-- USES: batch
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local gone = 0
for _, row in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], GROUP)) do
  local info = {}
  for i = 1, #row, 2 do info[row[i]] = row[i + 1] end
  if info.pending == 0 and (info.name == ARGV[1] or info.idle > tonumber(ARGV[2])) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], GROUP, info.name)
    gone = gone + 1
  end
end
return gone
