-- Part of the scripts: token buckets (GCRA).  The value of a bucket's key is
-- the time, us, at which the bucket will be full; it is negative if a refusal
-- was reported since the bucket was full.  The key goes when the bucket is
-- full.

local bucket = {}


local function bucket_set(b, full, noticed)
  redis.call('SET', b.key, int(noticed and -full or full),
             'PXAT', int(math.ceil(full / 1000)))
end


-- Looks at the buckets in KEYS from "key" on; each has three arguments from
-- "arg" on: microseconds a token, burst, and "1" for action=reject.  If the
-- update is a photo of an album, as many keys follow, of what was decided about
-- the album: "1" taken, "0" refused, for a minute.  Returns the number of the
-- first bucket without a token or 0, ms until it has one, and 1 if this is its
-- first refusal since it was full.  Writes nothing.

local function bucket_look(key, arg)
  local n = math.floor((#ARGV - arg + 1) / 3)

  if n == 0 then
    return 0, 0, 0
  end

  local values = redis.call('MGET', unpack(KEYS, key))

  for i = 1, n do
    local value, decided = values[i], values[n + i]
    local b = {key = KEYS[key + i - 1], album = KEYS[key + n + i - 1]}
    local burst = tonumber(ARGV[arg + 3 * i - 2])

    b.token = tonumber(ARGV[arg + 3 * i - 3])
    b.reject = ARGV[arg + 3 * i - 1] == '1'
    b.full = us

    if value then
      local full = math.abs(tonumber(value) or 0)

      if full > us then
        b.noticed = string.sub(value, 1, 1) == '-'

        -- the clock may have been set back, the burst lowered

        b.full = math.min(full, us + math.ceil(burst * b.token))
      end
    end

    bucket[i] = b

    local wait = b.full - math.floor((burst - 1) * b.token) - us

    if decided == '1' then
      b.decided = true

    elseif decided then
      b.decided = true
      return i, math.max(math.ceil(wait / 1000), 1), 0

    elseif wait > 0 then
      return i, math.ceil(wait / 1000), b.noticed and 0 or 1
    end
  end

  return 0, 0, 0
end


local function bucket_decide(b, taken)
  if b.album then
    redis.call('SET', b.album, taken,
               'PXAT', int(math.ceil(us / 1000) + 60000))
  end
end


-- takes a token from each bucket that bucket_look() has looked at, but from
-- none for an album that was taken

local function bucket_take()
  for _, b in ipairs(bucket) do
    if not b.decided then
      bucket_set(b, math.ceil(b.full + b.token), b.noticed)
      bucket_decide(b, '1')
    end
  end
end


-- remembers that the refusal of this bucket was reported; a refused update that
-- comes again is looked at again

local function bucket_notice(i)
  local b = bucket[i]

  if b.decided then
    return
  end

  bucket_set(b, b.full, true)

  if not b.reject then
    bucket_decide(b, '0')
  end
end
