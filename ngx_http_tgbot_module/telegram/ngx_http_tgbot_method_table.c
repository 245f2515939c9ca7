
#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tgbot_method_table.h"


/* t/botapi.txt lists the parameters that the bits stand for */

const ngx_http_tgbot_method_row_t
    ngx_http_tgbot_methods[NGX_HTTP_TGBOT_METHODS + 1] = {

    { ngx_string("addStickerToSet"), 0, 0 },
    { ngx_string("answerCallbackQuery"), NGX_HTTP_TGBOT_QUERY_CALLBACK, 0 },
    { ngx_string("answerChatJoinRequestQuery"), NGX_HTTP_TGBOT_QUERY_JOIN, 0 },
    { ngx_string("answerGuestQuery"), NGX_HTTP_TGBOT_QUERY_GUEST, 0 },
    { ngx_string("answerInlineQuery"), NGX_HTTP_TGBOT_QUERY_INLINE, 0 },
    { ngx_string("answerPreCheckoutQuery"), NGX_HTTP_TGBOT_QUERY_PRE_CHECKOUT,
      0 },
    { ngx_string("answerShippingQuery"), NGX_HTTP_TGBOT_QUERY_SHIPPING, 0 },
    { ngx_string("answerWebAppQuery"), 0, 0 },
    { ngx_string("answerWidgetQuery"), NGX_HTTP_TGBOT_QUERY_WIDGET, 0 },
    { ngx_string("approveChatJoinRequest"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_USER },
    { ngx_string("approveSuggestedPost"), 0, 0 },
    { ngx_string("banChatMember"), 0, 0 },
    { ngx_string("banChatSenderChat"), 0, 0 },
    { ngx_string("close"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("closeForumTopic"), 0, 0 },
    { ngx_string("closeGeneralForumTopic"), 0, 0 },
    { ngx_string("convertGiftToStars"), 0, 0 },
    { ngx_string("copyMessage"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_THREAD
      | NGX_HTTP_TGBOT_TO_DIRECT },
    { ngx_string("copyMessages"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_THREAD
      | NGX_HTTP_TGBOT_TO_DIRECT },
    { ngx_string("createChatInviteLink"), 0, 0 },
    { ngx_string("createChatSubscriptionInviteLink"), 0, 0 },
    { ngx_string("createForumTopic"), 0, 0 },
    { ngx_string("createInvoiceLink"), 0, 0 },
    { ngx_string("createNewStickerSet"), 0, 0 },
    { ngx_string("declineChatJoinRequest"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_USER },
    { ngx_string("declineSuggestedPost"), 0, 0 },
    { ngx_string("deleteAllMessageReactions"), 0, 0 },
    { ngx_string("deleteBusinessMessages"), 0, 0 },
    { ngx_string("deleteChatPhoto"), 0, 0 },
    { ngx_string("deleteChatStickerSet"), 0, 0 },
    { ngx_string("deleteEphemeralMessage"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_RECEIVER },
    { ngx_string("deleteForumTopic"), 0, 0 },
    { ngx_string("deleteMessage"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_MESSAGE },
    { ngx_string("deleteMessageReaction"), 0, 0 },
    { ngx_string("deleteMessages"), 0, NGX_HTTP_TGBOT_TO_CHAT },
    { ngx_string("deleteMyCommands"), 0, 0 },
    { ngx_string("deleteStickerFromSet"), 0, 0 },
    { ngx_string("deleteStickerSet"), 0, 0 },
    { ngx_string("deleteStory"), 0, 0 },
    { ngx_string("deleteWebhook"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("editChatInviteLink"), 0, 0 },
    { ngx_string("editChatSubscriptionInviteLink"), 0, 0 },
    { ngx_string("editEphemeralMessageCaption"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_RECEIVER },
    { ngx_string("editEphemeralMessageMedia"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_RECEIVER },
    { ngx_string("editEphemeralMessageReplyMarkup"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_RECEIVER },
    { ngx_string("editEphemeralMessageText"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_RECEIVER },
    { ngx_string("editForumTopic"), 0, 0 },
    { ngx_string("editGeneralForumTopic"), 0, 0 },
    { ngx_string("editMessageCaption"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_MESSAGE | NGX_HTTP_TGBOT_TO_INLINE },
    { ngx_string("editMessageChecklist"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_MESSAGE },
    { ngx_string("editMessageLiveLocation"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_MESSAGE | NGX_HTTP_TGBOT_TO_INLINE },
    { ngx_string("editMessageMedia"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_MESSAGE | NGX_HTTP_TGBOT_TO_INLINE },
    { ngx_string("editMessageReplyMarkup"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_MESSAGE | NGX_HTTP_TGBOT_TO_INLINE },
    { ngx_string("editMessageText"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_MESSAGE | NGX_HTTP_TGBOT_TO_INLINE },
    { ngx_string("editMessageWidgetData"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_MESSAGE
      | NGX_HTTP_TGBOT_TO_INLINE },
    { ngx_string("editSharedWidgetData"), 0, 0 },
    { ngx_string("editStory"), 0, 0 },
    { ngx_string("editUserStarSubscription"), 0, 0 },
    { ngx_string("exportChatInviteLink"), 0, 0 },
    { ngx_string("file"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("forwardMessage"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_THREAD
      | NGX_HTTP_TGBOT_TO_DIRECT },
    { ngx_string("forwardMessages"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_THREAD
      | NGX_HTTP_TGBOT_TO_DIRECT },
    { ngx_string("getAvailableGifts"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getBusinessAccountGifts"), 0,
      NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getBusinessAccountStarBalance"), 0,
      NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getBusinessConnection"), 0,
      NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getChat"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getChatAdministrators"), 0,
      NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getChatGifts"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getChatMember"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getChatMemberCount"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getChatMenuButton"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getCustomEmojiStickers"), 0,
      NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getFile"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getForumTopicIconStickers"), 0,
      NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getGameHighScores"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getManagedBotAccessSettings"), 0,
      NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getManagedBotToken"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getMe"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getMyCommands"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getMyDefaultAdministratorRights"), 0,
      NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getMyDescription"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getMyName"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getMyShortDescription"), 0,
      NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getMyStarBalance"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getStarTransactions"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getStickerSet"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getUpdates"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getUserChatBoosts"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getUserGifts"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getUserPersonalChatMessages"), 0,
      NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getUserProfileAudios"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getUserProfilePhotos"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("getWebhookInfo"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("giftPremiumSubscription"), 0, 0 },
    { ngx_string("hideGeneralForumTopic"), 0, 0 },
    { ngx_string("leaveChat"), 0, 0 },
    { ngx_string("logOut"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("pinChatMessage"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_MESSAGE },
    { ngx_string("postStory"), 0, 0 },
    { ngx_string("promoteChatMember"), 0, 0 },
    { ngx_string("readBusinessMessage"), 0, 0 },
    { ngx_string("refundStarPayment"), 0, 0 },
    { ngx_string("removeBusinessAccountProfilePhoto"), 0, 0 },
    { ngx_string("removeChatVerification"), 0, 0 },
    { ngx_string("removeMyProfilePhoto"), 0, 0 },
    { ngx_string("removeUserVerification"), 0, 0 },
    { ngx_string("reopenForumTopic"), 0, 0 },
    { ngx_string("reopenGeneralForumTopic"), 0, 0 },
    { ngx_string("replaceManagedBotToken"), 0,
      NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("replaceStickerInSet"), 0, 0 },
    { ngx_string("repostStory"), 0, 0 },
    { ngx_string("restrictChatMember"), 0, 0 },
    { ngx_string("revokeChatInviteLink"), 0, 0 },
    { ngx_string("savePreparedInlineMessage"), 0, 0 },
    { ngx_string("savePreparedKeyboardButton"), 0, 0 },
    { ngx_string("sendAnimation"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD | NGX_HTTP_TGBOT_TO_DIRECT
      | NGX_HTTP_TGBOT_TO_EPHEMERAL },
    { ngx_string("sendAudio"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD | NGX_HTTP_TGBOT_TO_DIRECT
      | NGX_HTTP_TGBOT_TO_EPHEMERAL },
    { ngx_string("sendChatAction"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD },
    { ngx_string("sendChatJoinRequestWebApp"), NGX_HTTP_TGBOT_QUERY_JOIN, 0 },
    { ngx_string("sendChecklist"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS },
    { ngx_string("sendContact"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD | NGX_HTTP_TGBOT_TO_DIRECT
      | NGX_HTTP_TGBOT_TO_EPHEMERAL },
    { ngx_string("sendDice"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD | NGX_HTTP_TGBOT_TO_DIRECT },
    { ngx_string("sendDocument"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD | NGX_HTTP_TGBOT_TO_DIRECT
      | NGX_HTTP_TGBOT_TO_EPHEMERAL },
    { ngx_string("sendGame"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD },
    { ngx_string("sendGift"), 0, 0 },
    { ngx_string("sendInvoice"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_THREAD
      | NGX_HTTP_TGBOT_TO_DIRECT },
    { ngx_string("sendLivePhoto"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD | NGX_HTTP_TGBOT_TO_DIRECT
      | NGX_HTTP_TGBOT_TO_EPHEMERAL },
    { ngx_string("sendLocation"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD | NGX_HTTP_TGBOT_TO_DIRECT
      | NGX_HTTP_TGBOT_TO_EPHEMERAL },
    { ngx_string("sendMediaGroup"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD | NGX_HTTP_TGBOT_TO_DIRECT },
    { ngx_string("sendMessage"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD | NGX_HTTP_TGBOT_TO_DIRECT
      | NGX_HTTP_TGBOT_TO_EPHEMERAL },
    { ngx_string("sendMessageDraft"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_THREAD },
    { ngx_string("sendPaidMedia"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD | NGX_HTTP_TGBOT_TO_DIRECT },
    { ngx_string("sendPhoto"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD | NGX_HTTP_TGBOT_TO_DIRECT
      | NGX_HTTP_TGBOT_TO_EPHEMERAL },
    { ngx_string("sendPoll"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD },
    { ngx_string("sendRichMessage"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD | NGX_HTTP_TGBOT_TO_DIRECT
      | NGX_HTTP_TGBOT_TO_EPHEMERAL },
    { ngx_string("sendRichMessageDraft"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_THREAD },
    { ngx_string("sendSharedWidget"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_THREAD },
    { ngx_string("sendSticker"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD | NGX_HTTP_TGBOT_TO_DIRECT
      | NGX_HTTP_TGBOT_TO_EPHEMERAL },
    { ngx_string("sendVenue"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD | NGX_HTTP_TGBOT_TO_DIRECT
      | NGX_HTTP_TGBOT_TO_EPHEMERAL },
    { ngx_string("sendVideo"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD | NGX_HTTP_TGBOT_TO_DIRECT
      | NGX_HTTP_TGBOT_TO_EPHEMERAL },
    { ngx_string("sendVideoNote"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD | NGX_HTTP_TGBOT_TO_DIRECT
      | NGX_HTTP_TGBOT_TO_EPHEMERAL },
    { ngx_string("sendVoice"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_THREAD | NGX_HTTP_TGBOT_TO_DIRECT
      | NGX_HTTP_TGBOT_TO_EPHEMERAL },
    { ngx_string("sendWidget"), 0,
      NGX_HTTP_TGBOT_TO_SEND | NGX_HTTP_TGBOT_TO_THREAD },
    { ngx_string("setBusinessAccountBio"), 0, 0 },
    { ngx_string("setBusinessAccountGiftSettings"), 0, 0 },
    { ngx_string("setBusinessAccountName"), 0, 0 },
    { ngx_string("setBusinessAccountProfilePhoto"), 0, 0 },
    { ngx_string("setBusinessAccountUsername"), 0, 0 },
    { ngx_string("setChatAdministratorCustomTitle"), 0, 0 },
    { ngx_string("setChatDescription"), 0, 0 },
    { ngx_string("setChatMemberTag"), 0, 0 },
    { ngx_string("setChatMenuButton"), 0, 0 },
    { ngx_string("setChatPermissions"), 0, 0 },
    { ngx_string("setChatPhoto"), 0, 0 },
    { ngx_string("setChatStickerSet"), 0, 0 },
    { ngx_string("setChatTitle"), 0, 0 },
    { ngx_string("setCustomEmojiStickerSetThumbnail"), 0, 0 },
    { ngx_string("setGameScore"), 0, 0 },
    { ngx_string("setManagedBotAccessSettings"), 0, 0 },
    { ngx_string("setMessageReaction"), 0, NGX_HTTP_TGBOT_TO_CHAT },
    { ngx_string("setMyCommands"), 0, 0 },
    { ngx_string("setMyDefaultAdministratorRights"), 0, 0 },
    { ngx_string("setMyDescription"), 0, 0 },
    { ngx_string("setMyName"), 0, 0 },
    { ngx_string("setMyProfilePhoto"), 0, 0 },
    { ngx_string("setMySettings"), 0, 0 },
    { ngx_string("setMyShortDescription"), 0, 0 },
    { ngx_string("setPassportDataErrors"), 0, 0 },
    { ngx_string("setStickerEmojiList"), 0, 0 },
    { ngx_string("setStickerKeywords"), 0, 0 },
    { ngx_string("setStickerMaskPosition"), 0, 0 },
    { ngx_string("setStickerPositionInSet"), 0, 0 },
    { ngx_string("setStickerSetThumbnail"), 0, 0 },
    { ngx_string("setStickerSetTitle"), 0, 0 },
    { ngx_string("setUserEmojiStatus"), 0, 0 },
    { ngx_string("setWebhook"), 0, NGX_HTTP_TGBOT_METHOD_FORBIDDEN },
    { ngx_string("stopMessageLiveLocation"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_MESSAGE | NGX_HTTP_TGBOT_TO_INLINE },
    { ngx_string("stopPoll"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_BUSINESS
      | NGX_HTTP_TGBOT_TO_MESSAGE },
    { ngx_string("transferBusinessAccountStars"), 0, 0 },
    { ngx_string("transferGift"), 0, 0 },
    { ngx_string("unbanChatMember"), 0, 0 },
    { ngx_string("unbanChatSenderChat"), 0, 0 },
    { ngx_string("unhideGeneralForumTopic"), 0, 0 },
    { ngx_string("unpinAllChatMessages"), 0, 0 },
    { ngx_string("unpinAllForumTopicMessages"), 0, 0 },
    { ngx_string("unpinAllGeneralForumTopicMessages"), 0, 0 },
    { ngx_string("unpinChatMessage"), 0,
      NGX_HTTP_TGBOT_TO_CHAT | NGX_HTTP_TGBOT_TO_BUSINESS },
    { ngx_string("upgradeGift"), 0, 0 },
    { ngx_string("uploadStickerFile"), 0, 0 },
    { ngx_string("verifyChat"), 0, 0 },
    { ngx_string("verifyUser"), 0, 0 },
    { ngx_string("other"), 0, 0 }
};


ngx_uint_t
ngx_http_tgbot_method_find(ngx_str_t *method)
{
    ngx_int_t         rc;
    ngx_uint_t        i, low, high;
    const ngx_str_t  *name;

    /* a bot calls few methods, and each call asks several times */

    static ngx_uint_t  last;

    name = &ngx_http_tgbot_methods[last].name;

    if (method->len == name->len
        && ngx_memcmp(method->data, name->data, name->len) == 0)
    {
        return last;
    }

    low = 0;
    high = NGX_HTTP_TGBOT_METHODS;

    while (low < high) {
        i = (low + high) / 2;
        name = &ngx_http_tgbot_methods[i].name;

        rc = ngx_strncasecmp(method->data, name->data,
                             ngx_min(method->len, name->len));

        if (rc == 0) {
            rc = (ngx_int_t) method->len - (ngx_int_t) name->len;
        }

        if (rc == 0) {
            last = i;
            return i;
        }

        if (rc < 0) {
            high = i;

        } else {
            low = i + 1;
        }
    }

    return NGX_HTTP_TGBOT_METHODS;
}
