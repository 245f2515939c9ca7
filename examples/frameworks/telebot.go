// A bot on telebot 3.
package main

import (
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"sync"

	tele "gopkg.in/telebot.v3"
)

func main() {
	var failed sync.Map

	bot, err := tele.NewBot(tele.Settings{
		Token: os.Getenv("TOKEN"),
		URL:   os.Getenv("API_ROOT"),

		// without this ProcessUpdate() does not wait for the handler
		Synchronous: true,

		OnError: func(err error, c tele.Context) {
			log.Println(err)
			if c != nil {
				failed.Store(c.Update().ID, true)
			}
		},
	})
	if err != nil {
		log.Fatal(err)
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

	bot.Handle(tele.OnText, func(c tele.Context) error {
		return c.Send("You said: " + c.Text())
	})

	// not tele.Webhook, which answers 200 when the update is in its memory, and calls
	// setWebhook
	webhook := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Telegram-Bot-Api-Secret-Token") != os.Getenv("SECRET") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}

		var update tele.Update
		if err := json.NewDecoder(r.Body).Decode(&update); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}

		bot.ProcessUpdate(update)

		if _, there := failed.LoadAndDelete(update.ID); there {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}

	address := "127.0.0.1:" + os.Getenv("PORT")
	log.Fatal(http.ListenAndServe(address, http.HandlerFunc(webhook)))
}
