// telebot 3 as it comes, with its own webhook.
package main

import (
	"errors"
	"os"

	tele "gopkg.in/telebot.v3"
)

func main() {
	bot, err := tele.NewBot(tele.Settings{
		Token: os.Getenv("TOKEN"),
		URL:   os.Getenv("API_ROOT"),
		Poller: &tele.Webhook{
			Listen:      "127.0.0.1:" + os.Getenv("PORT"),
			SecretToken: os.Getenv("SECRET"),
			Endpoint: &tele.WebhookEndpoint{
				PublicURL: "https://bot.example.com/tg/shop",
			},
		},
	})
	if err != nil {
		panic(err)
	}

	bot.Handle("/menu", func(c tele.Context) error {
		for _, line := range []string{"We have", "tea", "and coffee."} {
			if err := c.Send(line); err != nil {
				return err
			}
		}
		return nil
	})

	bot.Handle("/fail", func(c tele.Context) error {
		return errors.New("on purpose")
	})

	bot.Start()
}
