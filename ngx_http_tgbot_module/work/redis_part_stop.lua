-- Part of the scripts: pauses after a 429.  The value of a pause's key is
-- "ends lease set": the time, us, at which the pause ends, the one at which the
-- lease of its probe is over, 0: no call is the probe, and the one at which the
-- key was set.  The key goes a minute after the first two.

local STOP_KEPT = 60000000


local function stop_set(key, ends, lease)
  redis.call('SET', key, int(ends) .. ' ' .. int(lease) .. ' ' .. int(us),
             'PXAT', int(math.ceil((math.max(ends, lease) + STOP_KEPT) / 1000)))
end


local function stop_get(key)
  local ends, lease, set = string.match(redis.call('GET', key) or '',
                                        '^(%d+) (%d+) (%d+)$')

  ends, lease, set = tonumber(ends), tonumber(lease), tonumber(set)

  -- the clock was set back, which must make no pause longer

  if ends and set > us then
    ends = math.max(ends - (set - us), 0)
    lease = math.max(lease - (set - us), 0)

    stop_set(key, ends, lease)
  end

  return ends, lease
end
