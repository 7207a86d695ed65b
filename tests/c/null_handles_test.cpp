// inlay.h says what becomes of a handle that is null: INLAY_BAD_ARGUMENT, and null or 0 of
// functions without a status.
#include <doctest/doctest.h>
#include <inlay.h>

namespace {

// Null for every pointer, 0 for every number.
template <class Result, class... Arguments>
Result call_with_nothing(Result (*function)(Arguments...)) {
  return function(Arguments{}...);
}

void check_status(const char* name, inlay_status status) {
  CAPTURE(name);
  CHECK(status == INLAY_BAD_ARGUMENT);
}

}  // namespace

TEST_CASE("functions with a status want their handles") {
#define CHECK_STATUS(name) check_status(#name, call_with_nothing(name))
  CHECK_STATUS(inlay_model_open);
  CHECK_STATUS(inlay_model_open_memory);
  CHECK_STATUS(inlay_model_open_function);
  CHECK_STATUS(inlay_model_open_source);
  CHECK_STATUS(inlay_loader_create);
  CHECK_STATUS(inlay_loader_step);
  CHECK_STATUS(inlay_model_get_info);
  CHECK_STATUS(inlay_get_special_tokens);
  CHECK_STATUS(inlay_tokenize);
  CHECK_STATUS(inlay_session_create);
  CHECK_STATUS(inlay_session_plan);
  CHECK_STATUS(inlay_session_fork);
  CHECK_STATUS(inlay_session_plan_fork);
  CHECK_STATUS(inlay_session_prompt);
  CHECK_STATUS(inlay_session_prompt_tokens);
  CHECK_STATUS(inlay_session_status);
  CHECK_STATUS(inlay_session_logprobs);
  CHECK_STATUS(inlay_session_set_sampling);
  CHECK_STATUS(inlay_session_evaluate);
  CHECK_STATUS(inlay_session_constrain);
  CHECK_STATUS(inlay_session_save);
  CHECK_STATUS(inlay_session_restore);
  CHECK_STATUS(inlay_state_writer_create);
  CHECK_STATUS(inlay_state_writer_write);
  CHECK_STATUS(inlay_embedder_create);
  CHECK_STATUS(inlay_embedder_plan);
  CHECK_STATUS(inlay_embed);
  CHECK_STATUS(inlay_rank);
  CHECK_STATUS(inlay_embedder_start);
  CHECK_STATUS(inlay_embedder_start_ranking);
  CHECK_STATUS(inlay_grammar_create);
  CHECK_STATUS(inlay_grammar_matches);
  CHECK_STATUS(inlay_session_constrain_grammar);
  CHECK_STATUS(inlay_fill_create);
  CHECK_STATUS(inlay_fill_status);
  CHECK_STATUS(inlay_chat_template_create);
  CHECK_STATUS(inlay_chat_template_render);
  CHECK_STATUS(inlay_chat_template_encode);
  CHECK_STATUS(inlay_chat_template_tool_grammar);
  CHECK_STATUS(inlay_chat_parser_create);
  CHECK_STATUS(inlay_chat_parser_push);
  CHECK_STATUS(inlay_chat_parser_finish);
  CHECK_STATUS(inlay_drafts_create);
  CHECK_STATUS(inlay_chooser_create);
  CHECK_STATUS(inlay_chooser_start);
  CHECK_STATUS(inlay_chooser_run);
  CHECK_STATUS(inlay_chooser_status);
  CHECK_STATUS(inlay_completion_create);
  CHECK_STATUS(inlay_completion_set_file);
  CHECK_STATUS(inlay_completion_update);
  CHECK_STATUS(inlay_completion_suggestion);
  CHECK_STATUS(inlay_completion_status);
#undef CHECK_STATUS
}

TEST_CASE("functions that give something give nothing without a handle") {
#define CHECK_NOTHING(name) CHECK_MESSAGE(!call_with_nothing(name), #name)
  CHECK_NOTHING(inlay_model_architecture);
  CHECK_NOTHING(inlay_model_target);
  CHECK_NOTHING(inlay_metadata_count);
  CHECK_NOTHING(inlay_metadata_key);
  CHECK_NOTHING(inlay_metadata_type);
  CHECK_NOTHING(inlay_metadata_element_type);
  CHECK_NOTHING(inlay_metadata_size);
  CHECK_NOTHING(inlay_metadata_u64);
  CHECK_NOTHING(inlay_metadata_i64);
  CHECK_NOTHING(inlay_metadata_f64);
  CHECK_NOTHING(inlay_metadata_bool);
  CHECK_NOTHING(inlay_metadata_string);
  CHECK_NOTHING(inlay_token_bytes);
  CHECK_NOTHING(inlay_token_is_end);
  CHECK_NOTHING(inlay_token_is_control);
  CHECK_NOTHING(inlay_session_next);
  CHECK_NOTHING(inlay_session_piece);
  CHECK_NOTHING(inlay_session_stop_reason);
  CHECK_NOTHING(inlay_session_tokens);
  CHECK_NOTHING(inlay_session_cached);
  CHECK_NOTHING(inlay_session_reused);
  CHECK_NOTHING(inlay_session_state_bytes);
  CHECK_NOTHING(inlay_state_writer_bytes);
  CHECK_NOTHING(inlay_state_writer_least_room);
  CHECK_NOTHING(inlay_embedder_rows);
  CHECK_NOTHING(inlay_embedder_row);
  CHECK_NOTHING(inlay_fill_text);
  CHECK_NOTHING(inlay_chat_template_is_fallback);
  CHECK_NOTHING(inlay_session_drafted);
  CHECK_NOTHING(inlay_session_accepted);
  CHECK_NOTHING(inlay_chooser_best);
  CHECK_NOTHING(inlay_chooser_choice);
#undef CHECK_NOTHING
  CHECK(call_with_nothing(inlay_loader_fraction) == 0);
  CHECK(call_with_nothing(inlay_metadata_find) == INLAY_NOT_FOUND);
  CHECK(call_with_nothing(inlay_session_piece_token) == INLAY_NO_TOKEN);
  CHECK(call_with_nothing(inlay_session_step) == INLAY_STEP_FAILED);
  CHECK(call_with_nothing(inlay_embedder_step) == INLAY_STEP_FAILED);
  CHECK(call_with_nothing(inlay_fill_step) == INLAY_STEP_FAILED);
  CHECK(call_with_nothing(inlay_chooser_step) == INLAY_STEP_FAILED);
  CHECK(call_with_nothing(inlay_completion_step) == INLAY_STEP_FAILED);
  CHECK(call_with_nothing(inlay_completion_run) == INLAY_STEP_FAILED);
}

TEST_CASE("functions that give nothing do nothing without a handle") {
  call_with_nothing(inlay_host_init);
  call_with_nothing(inlay_model_options_init);
  call_with_nothing(inlay_model_close);
  call_with_nothing(inlay_source_init);
  call_with_nothing(inlay_loader_cancel);
  call_with_nothing(inlay_loader_close);
  call_with_nothing(inlay_sampling_init);
  call_with_nothing(inlay_session_options_init);
  call_with_nothing(inlay_session_close);
  call_with_nothing(inlay_session_cancel);
  call_with_nothing(inlay_session_set_max_tokens);
  call_with_nothing(inlay_session_truncate);
  call_with_nothing(inlay_state_writer_close);
  call_with_nothing(inlay_embedder_options_init);
  call_with_nothing(inlay_embed_options_init);
  call_with_nothing(inlay_embedder_close);
  call_with_nothing(inlay_embedder_cancel);
  call_with_nothing(inlay_grammar_options_init);
  call_with_nothing(inlay_grammar_close);
  call_with_nothing(inlay_fill_close);
  call_with_nothing(inlay_chat_template_options_init);
  call_with_nothing(inlay_chat_request_init);
  call_with_nothing(inlay_chat_template_close);
  call_with_nothing(inlay_chat_parser_close);
  call_with_nothing(inlay_draft_options_init);
  call_with_nothing(inlay_drafts_close);
  call_with_nothing(inlay_drafts_set_reference);
  call_with_nothing(inlay_session_speculate);
  call_with_nothing(inlay_choose_options_init);
  call_with_nothing(inlay_chooser_close);
  call_with_nothing(inlay_completion_options_init);
  call_with_nothing(inlay_completion_close);
  call_with_nothing(inlay_completion_remove_file);
  call_with_nothing(inlay_completion_cancel);
}
