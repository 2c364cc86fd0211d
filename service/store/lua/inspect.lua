-- inspect: how accounts stand. Drops leases that have run out, and changes nothing else.
-- KEYS each: 1 mgw:{accounts}:a:<name>:leases (zset)   2 mgw:{accounts}:a:<name>:state (hash)
-- ARGV: 1 now_ms (0: TIME)
-- Returns for each account {leases, quarantined 0 or 1, cooldown left ms, breaker opened 0 or more times, its rest left
-- ms, why, since_ms, leases that had run out}. O(accounts * log n).
-- USES: window
local now = clock_ms(ARGV[1])
local answer = {}
for i = 1, #KEYS, 2 do
  local expired = redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
  local s = redis.call('HMGET', KEYS[i + 1], 'quarantine', 'cool_until', 'opens', 'open_until', 'why', 'since')
  answer[#answer + 1] = {
    redis.call('ZCARD', KEYS[i]),
    s[1] and 1 or 0,
    math.max(tonumber(s[2] or '0') - now, 0),
    tonumber(s[3] or '0'),
    math.max(tonumber(s[4] or '0') - now, 0),
    s[5] or '',
    tonumber(s[6] or '0'),
    expired,
  }
end
return answer
