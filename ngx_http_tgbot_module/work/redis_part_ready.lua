-- Part of the scripts: a lane with items is in exactly one of ready (LIST),
-- delayed (ZSET, by the time at which it is due) and flight (HASH, with the
-- token of its worker), and always in lanes (ZSET, by the time at which its
-- head was received).

-- Makes lanes ready.  If nothing was, the bell rings: that is a message on the
-- channel with the name of the key.

local function ready_push(key, lanes, ring)
  if #lanes == 0 then
    return
  end

  if redis.call('RPUSH', key, unpack(lanes)) == #lanes and ring then
    redis.call('PUBLISH', key, '')
  end
end
