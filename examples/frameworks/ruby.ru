# A bot in Ruby, as an application of Rack:
#
#     SECRET=... puma -b tcp://127.0.0.1:9001 ruby.ru

require 'json'

# One call, a list of calls, or nil.  A chat_id that is missing is put in by nginx.

def answer(update)
  text = update.dig('message', 'text')

  case text
  when nil
    nil
  when '/menu'
    ['We have', 'tea', 'and coffee.'].map { |line| { method: 'sendMessage', text: line } }
  when '/fail'
    raise 'on purpose'
  else
    { method: 'sendMessage', text: "You said: #{text}" }
  end
end

# who raises in here is answered 500 by the server

run(lambda do |env|
  if env['HTTP_X_TELEGRAM_BOT_API_SECRET_TOKEN'] != ENV.fetch('SECRET')
    next [401, {}, []]
  end

  calls = answer(JSON.parse(env['rack.input'].read))

  [200, { 'content-type' => 'application/json' }, [calls ? JSON.generate(calls) : '']]
end)
