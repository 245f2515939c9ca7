-- Part of the scripts: the buckets of bulk (GCRA).  The value of a bucket's key
-- is the time, us, at which the bucket will be full if all who were given a
-- place in it go at their time.  The key goes then.
--
-- Calls take differently long to the Bot API, whose bucket is the same: so a
-- second of the burst, or half of it if that is less, is kept back for the call
-- that overtakes others.

-- as the zone of tgbot_pace has it: the clock of a worker may be so much behind

local PACE_CLOCK = 5000


local function pace_buckets(key, arg)
  local buckets = {}

  for i = key, #KEYS do
    local b = {key = KEYS[i], period = tonumber(ARGV[arg]),
               burst = tonumber(ARGV[arg + 1])}
    local full = tonumber(redis.call('GET', b.key)) or 0
    local room = (b.burst - 1) * b.period

    -- in more than an hour: the clock was set back

    if full > us + room + 3600000000 then
      full = 0
    end

    b.full = full
    b.wait = full - room + math.min(math.floor(room / 2), 1000000) - us

    buckets[#buckets + 1] = b
    arg = arg + 2
  end

  return buckets
end


local function pace_set(b, full)
  if full > us then
    redis.call('SET', b.key, int(full), 'PXAT', int(math.ceil(full / 1000)))

  else
    redis.call('DEL', b.key)
  end
end


-- Charges a place for a call that goes at the time "at".  One that has had a
-- place for the time "due", not 0, is charged for what the bucket has got back
-- since: several that go together are as many as if they had had none.

local function pace_take(b, at, due)
  at = at + PACE_CLOCK

  if due > 0 then
    local again = math.min(math.max(at - due, 0), b.period)

    pace_set(b, math.max(b.full + again, at + b.period))

  else
    pace_set(b, math.max(b.full, at) + b.period)
  end
end
