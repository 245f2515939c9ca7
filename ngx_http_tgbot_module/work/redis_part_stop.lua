-- Part of the scripts: pauses after a 429.  The value of a pause's key is
-- "ends lease": the time, us, at which the pause ends, and the one at which the
-- lease of its probe is over; 0: no call is the probe.  The key goes a minute
-- after both.

local STOP_KEPT = 60000000


local function stop_get(key)
  local ends, lease = string.match(redis.call('GET', key) or '',
                                   '^(%d+) (%d+)$')

  return tonumber(ends), tonumber(lease)
end


local function stop_set(key, ends, lease)
  redis.call('SET', key, int(ends) .. ' ' .. int(lease), 'PXAT',
             int(math.ceil((math.max(ends, lease) + STOP_KEPT) / 1000)))
end
