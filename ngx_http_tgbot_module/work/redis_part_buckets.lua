-- Part of the scripts: token buckets (GCRA).  The value of a bucket's key is
-- the time, us, at which the bucket will be full; it is negative if a refusal
-- was reported since the bucket was full.  The key goes when the bucket is
-- full.

local bucket = {}


local function bucket_set(b, full, noticed)
  redis.call('SET', b.key, int(noticed and -full or full),
             'PXAT', int(math.ceil(full / 1000)))
end


-- Looks at the buckets in KEYS from "key" on; each has "step" arguments from
-- "arg" on: microseconds a token, burst ...  Returns the number of the first
-- bucket without a token or 0, ms until it has one, and 1 if this is its first
-- refusal since it was full.  Writes nothing.

local function bucket_look(key, arg, step)
  if #KEYS < key then
    return 0, 0, 0
  end

  for i, value in ipairs(redis.call('MGET', unpack(KEYS, key))) do
    local b = {key = KEYS[key + i - 1]}
    local burst = tonumber(ARGV[arg + step * (i - 1) + 1])

    b.token = tonumber(ARGV[arg + step * (i - 1)])
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

    if wait > 0 then
      return i, math.ceil(wait / 1000), b.noticed and 0 or 1
    end
  end

  return 0, 0, 0
end


-- takes a token from each bucket that bucket_look() has looked at

local function bucket_take()
  for _, b in ipairs(bucket) do
    bucket_set(b, math.ceil(b.full + b.token), b.noticed)
  end
end


-- remembers that the refusal of this bucket was reported

local function bucket_notice(i)
  bucket_set(bucket[i], bucket[i].full, true)
end
