// The calls of program.mjs with telebot 3; the argument is the API's root.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	tele "gopkg.in/telebot.v3"
)

func step(name string, result interface{}, err error) {
	got := map[string]interface{}{"step": name}
	var told *tele.Error
	var flood tele.FloodError
	switch {
	case err == nil:
		got["result"] = result
	case errors.As(err, &flood):
		got["error"] = []interface{}{flood.Error(), flood.RetryAfter}
	case errors.As(err, &told):
		got["error"] = []interface{}{told.Code, told.Description}
	default:
		got["error"] = err.Error()
	}
	line, err := json.Marshal(got)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func main() {
	bot, err := tele.NewBot(tele.Settings{Token: os.Getenv("TOKEN"), URL: os.Args[1]})
	if err != nil {
		step("me", nil, err)
		return
	}
	step("me", bot.Me, nil)

	send := func(name string, chat int64, what interface{}, options ...interface{}) *tele.Message {
		message, err := bot.Send(tele.ChatID(chat), what, options...)
		step(name, message, err)
		return message
	}

	first := send("text", 1001, "Grüße 🙂 \"\\\n")
	markup := &tele.ReplyMarkup{}
	markup.Inline(markup.Row(tele.Btn{Text: "Tee & Kaffee", Data: "1=2&3"}))
	send("keyboard", 1001, "Choose", markup)
	edited, err := bot.Edit(first, "Edited")
	step("edit", edited, err)
	step("action", true, bot.Notify(tele.ChatID(1001), tele.Typing))
	send("group", -1002000000001, "To the group")

	photo := send("photo", 1001, &tele.Photo{
		File: tele.FromDisk(os.Getenv("PHOTO")), Caption: "Größe: 5 MB"})
	if photo != nil {
		send("photo again", 1001, &tele.Photo{File: tele.File{FileID: photo.Photo.FileID}})
		reader, err := bot.File(&tele.File{FileID: photo.Photo.FileID})
		digest := sha256.New()
		if err == nil {
			_, err = io.Copy(digest, reader)
			reader.Close()
		}
		step("download", fmt.Sprintf("%x", digest.Sum(nil)), err)
	}

	send("blocked", 1002, "Hello")
	send("unknown chat", 1003, "Hello")
	send("flood", 1004, "Hello")
	send("page", 1005, "Hello")
	send("failure", 1006, "Hello")
	send("no text", 1001, "")
	_, err = bot.Raw("noSuchMethod", map[string]string{})
	step("no method", nil, err)
}
