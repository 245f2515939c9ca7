-- Part of the scripts: time, and the bot's meta HASH, KEYS[1].
--
-- All times are of Redis' own clock.  The simulation puts a clock of its own
-- in the place of the call of TIME, which stands here only.
--
-- Fields of meta: v, the version of the layout of all keys of the bot; made,
-- when the HASH was made, us; seq, the last number that was given out; items
-- and bytes in the queue; events of items; window, top1, top2 and last of the
-- rings.  Numbers never repeat, as seq starts at the microseconds of the time.

local LAYOUT = '1'

local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local now = math.floor(us / 1000)

local meta = {}


-- An integer as text: Lua's own way loses digits, that of redis.call() is slow.

local function int(n)
  return string.format('%d', n)
end


-- Changes fields of meta; meta_write() writes what was changed, once, and makes
-- meta if there is none.

local changed = {}


local function meta_set(name, value)
  meta[name] = value
  changed[#changed + 1] = name
  changed[#changed + 1] = int(value)
end


local function meta_write()
  if meta.new then
    meta_set('v', LAYOUT)
    meta_set('made', us)
  end

  if #changed > 0 then
    redis.call('HSET', KEYS[1], unpack(changed))
  end
end


-- Reads fields into "meta", as numbers; nil: no such field.  Returns an error
-- if the keys are of another version.

local function meta_read(...)
  local names = {...}
  local values = redis.call('HMGET', KEYS[1], 'v', ...)

  if values[1] and values[1] ~= LAYOUT then
    return {err = 'TGBOTVERSION the keys of this bot have layout '
                  .. values[1] .. ', this is layout ' .. LAYOUT}
  end

  for i, name in ipairs(names) do
    meta[name] = tonumber(values[i + 1])
  end

  if not values[1] then
    meta.new = true
    meta_set('seq', us)
  end
end
